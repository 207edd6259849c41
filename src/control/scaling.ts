/** AdminService/GetScaling. */
import type { Mesh } from '../core/mesh.ts';
import { GetScalingRequest, GetScalingResponse } from '../gen/heapmesh/v1/admin.ts';
import { durationOf } from '../grpc/duration.ts';
import type { ScalingStatus } from '../scaling/scaling.ts';
import { type Authorize, demand } from './authorize.ts';
import { unary } from './methods.ts';
import type { Method } from './rpc.ts';
import { validService } from './validate.ts';

export function getScaling(
  { authorize, mesh }: { readonly authorize: Authorize; readonly mesh: Mesh },
  status: () => ScalingStatus | undefined,
): Method {
  const path = '/heapmesh.v1.AdminService/GetScaling';
  return unary(path, GetScalingRequest, GetScalingResponse, ({ service }, peer) => {
    demand(authorize, peer, 'admin.read', service);
    if (service !== '') validService('service', service);
    const now = status();
    if (now === undefined) return GetScalingResponse.create();
    const { provider, rules } = now;
    const wanted = (one: { readonly service: string }): boolean => service === '' || one.service === service;
    return {
      provider,
      threshold: rules.threshold,
      overFor: durationOf(rules.forMs),
      cooldown: durationOf(rules.cooldownMs),
      scaleInBelow: rules.scaleInBelow,
      scaleInFor: durationOf(rules.stableMs),
      max: rules.max,
      pools: now.pools.filter(wanted).map(pool => ({
        ...pool,
        added: [...pool.added],
        utilization: Number.isNaN(pool.utilization) ? 0 : pool.utilization,
        waiting: mesh.pool(pool.service)?.queue.size ?? 0,
      })),
      decisions: now.decisions.filter(wanted).map(({ time, server, ...decision }) => ({
        ...decision,
        time: new Date(time),
        serverId: server,
      })),
    };
  });
}
