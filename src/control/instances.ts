/** AdminService.ListInstances: the balancers of this mesh, as this one knows them. */
import { ListInstancesRequest, ListInstancesResponse } from '../gen/heapmesh/v1/admin.ts';
import { durationOf } from '../grpc/duration.ts';
import { type Authorize, demand } from './authorize.ts';
import { unary } from './methods.ts';
import type { Method, Peer } from './rpc.ts';

export interface KnownInstance {
  /** Empty where it has not said it yet. */
  readonly id: string;
  /** `host:port`. */
  readonly control: string;
  readonly proxy: string;
  /** Heard of lately. */
  readonly alive: boolean;
  /** Since it was heard of last, ms; undefined for this one. */
  readonly silentMs?: number | undefined;
}

export interface InstanceDirectory {
  /** This one first. */
  readonly instances: readonly KnownInstance[];
  /** A change told to one is in force on all. */
  readonly sharedLog: boolean;
}

export function listInstances(
  { authorize }: { readonly authorize: Authorize },
  directory: () => InstanceDirectory,
): Method {
  const path = '/heapmesh.v1.AdminService/ListInstances';
  return unary(path, ListInstancesRequest, ListInstancesResponse, (_request, peer: Peer) => {
    demand(authorize, peer, 'admin.read', '');
    const { instances, sharedLog } = directory();
    return {
      sharedLog,
      instances: instances.map(({ id, control, proxy, alive, silentMs }) => ({
        id,
        controlAddress: control,
        proxyAddress: proxy,
        alive,
        silentFor: silentMs === undefined ? undefined : durationOf(silentMs),
      })),
    };
  });
}
