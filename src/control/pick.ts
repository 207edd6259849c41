/** PickServer: which backend to call now, with a lease that counts as a call in flight. */
import { PickFailure } from '../core/core.ts';
import { LeaseKind } from '../core/load-table.ts';
import type { Mesh } from '../core/mesh.ts';
import type { PickWant, Pool } from '../core/pool.ts';
import type { PickServerRequest } from '../gen/heapmesh/v1/lookaside.ts';
import type { CallTrace } from '../grpc/call-tracer.ts';
import { Status } from '../grpc/status.ts';
import { type Authorize, demand } from './authorize.ts';
import { heard, publish } from './channels.ts';
import type { Clock } from './clock.ts';
import type { ControlCounters } from './counters.ts';
import type { PickAnswers } from './pick-answer.ts';
import { decodePick } from './pick-request.ts';
import { type Peer, RpcError, type UnaryMethod } from './rpc.ts';
import type { TracedPicks } from './traced-picks.ts';
import { validPick } from './validate.ts';

export interface PickOptions {
  readonly mesh: Mesh;
  readonly answers: PickAnswers;
  readonly authorize: Authorize;
  readonly clock: Clock;
  readonly counters: ControlCounters;
  /** Zone of callers that name none; empty for none. */
  readonly zone: string;
  readonly traced?: TracedPicks | undefined;
}

export class Picks {
  private readonly options: PickOptions;

  constructor(options: PickOptions) {
    this.options = options;
  }

  method(): UnaryMethod<PickServerRequest> {
    return {
      kind: 'unary',
      path: '/heapmesh.v1.LookasideService/PickServer',
      decode: decodePick,
      handle: (request, peer) => {
        const { traced } = this.options;
        if (traced === undefined) return this.pick(request, peer, undefined);
        return traced.run(request.service, request.method, peer, trace => this.pick(request, peer, trace));
      },
    };
  }

  private pick(request: PickServerRequest, peer: Peer, trace: CallTrace | undefined): Buffer {
    const { mesh, answers, authorize, clock, counters } = this.options;
    try {
      validPick(request);
    } catch (error) {
      counters.pickInvalid++;
      throw error;
    }
    const { service } = request;
    demand(authorize, peer, 'pick', service);
    const pool = mesh.pool(service);
    if (pool === undefined) {
      counters.pickUnknownService++;
      throw new RpcError(Status.NOT_FOUND, `no server serves '${service}'`);
    }
    const now = clock.now();
    const lease = pool.pick(now, LeaseKind.LEASED, this.wantOf(request));
    if (lease < 0) throw this.refusal(pool, service, lease as PickFailure);
    const slot = mesh.leases.slotOf(lease);
    counters.picked++;
    if (trace !== undefined) this.options.traced?.picked(trace, pool, lease, slot);
    if (heard('heapmesh:control:pick')) {
      publish('heapmesh:control:pick', () => ({ service, serverId: mesh.idOf(slot), failure: 0 }));
    }
    return answers.encode(lease, slot, pool, now);
  }

  private wantOf(request: PickServerRequest): PickWant | undefined {
    const { excludeIds, hashKey } = request;
    const zone = request.zone === '' ? this.options.zone : request.zone;
    if (excludeIds.length === 0 && hashKey === '' && zone === '') return undefined;
    const want: { exclude?: number[]; hashKey?: string; zone?: string } = {};
    for (const id of excludeIds) {
      const slot = this.options.mesh.slotOf(id);
      if (slot < 0) continue;
      want.exclude ??= [];
      want.exclude.push(slot);
    }
    if (hashKey !== '') want.hashKey = hashKey;
    if (zone !== '') want.zone = zone;
    return want;
  }

  private refusal(pool: Pool, service: string, failure: PickFailure): RpcError {
    const { counters } = this.options;
    publish('heapmesh:control:pick', () => ({ service, serverId: '', failure }));
    const { standby, warming, active, draining, ejected } = pool.counts();
    const able = warming + active;
    switch (failure) {
      case PickFailure.ALL_FULL:
        counters.pickFull++;
        return new RpcError(
          Status.RESOURCE_EXHAUSTED,
          `all ${able} servers of '${service}' are at their max_concurrency`,
        );
      case PickFailure.EXCLUDED:
        counters.pickUnavailable++;
        return new RpcError(
          Status.UNAVAILABLE,
          `all ${able} servers of '${service}' were excluded or are full`,
        );
      default: {
        counters.pickUnavailable++;
        const known = `${standby} standby, ${draining} draining, ${ejected} ejected`;
        return new RpcError(Status.UNAVAILABLE, `no server of '${service}' takes calls: ${known}`);
      }
    }
  }
}
