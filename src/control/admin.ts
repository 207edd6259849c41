/** AdminService, but for its stream of events: operators, the command line and the console. */
import type { ServerView } from '../core/core.ts';
import type { Body, Precondition } from '../core/entries.ts';
import { CONTROL } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import {
  ActivateServerRequest,
  ActivateServerResponse,
  AddServerRequest,
  AddServerResponse,
  DrainServerRequest,
  DrainServerResponse,
  GetHeapRequest,
  GetHeapResponse,
  ListServersRequest,
  ListServersResponse,
  RemoveServerRequest,
  RemoveServerResponse,
  type ServerStatus,
  SetServerWeightRequest,
  SetServerWeightResponse,
  UndrainServerRequest,
  UndrainServerResponse,
} from '../gen/heapmesh/v1/admin.ts';
import { Status } from '../grpc/status.ts';
import { type Action, type AllowBackend, type Authorize, demand } from './authorize.ts';
import type { Clock } from './clock.ts';
import { type Codec, unary } from './methods.ts';
import { type Method, type Peer, RpcError } from './rpc.ts';
import { validCause, validClaim, validDuration, validId, validService, validWeight } from './validate.ts';
import { serves, stateNumber, statusOf } from './views.ts';

export interface AdminOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly instanceId: string;
  readonly allow: AllowBackend;
  /** Why a change cannot be kept right now; empty where it can. */
  readonly cannotKeep?: (() => string) | undefined;
}

/** A drain without a time-out ends after this, ms. */
const DEFAULT_DRAIN_MS = 30_000;

export function adminService(admin: Admin, authorize: Authorize): Method[] {
  const method = <Q, A>(
    name: string,
    q: Codec<Q>,
    a: Codec<A>,
    action: Action,
    subject: (request: Q) => string,
    handle: (request: Q) => A | Promise<A>,
  ) =>
    unary(`/heapmesh.v1.AdminService/${name}`, q, a, (request, peer: Peer) => {
      demand(authorize, peer, action, subject(request));
      return handle(request);
    });
  const read = 'admin.read';
  const write = 'admin.write';
  const id = (request: { id: string }) => request.id;
  return [
    method(
      'ListServers',
      ListServersRequest,
      ListServersResponse,
      read,
      q => q.service,
      q => admin.list(q),
    ),
    method(
      'AddServer',
      AddServerRequest,
      AddServerResponse,
      write,
      q => q.server?.id ?? '',
      q => admin.add(q),
    ),
    method('RemoveServer', RemoveServerRequest, RemoveServerResponse, write, id, q => admin.remove(q)),
    method('DrainServer', DrainServerRequest, DrainServerResponse, write, id, q => admin.drain(q)),
    method('UndrainServer', UndrainServerRequest, UndrainServerResponse, write, id, q => admin.undrain(q)),
    method('ActivateServer', ActivateServerRequest, ActivateServerResponse, write, id, q =>
      admin.activate(q),
    ),
    method('SetServerWeight', SetServerWeightRequest, SetServerWeightResponse, write, id, q =>
      admin.weigh(q),
    ),
    method(
      'GetHeap',
      GetHeapRequest,
      GetHeapResponse,
      read,
      q => q.service,
      q => admin.heap(q),
    ),
  ];
}

export class Admin {
  private readonly options: AdminOptions;

  constructor(options: AdminOptions) {
    this.options = options;
  }

  list({ service, states }: ListServersRequest): ListServersResponse {
    if (service !== '') validService('service', service);
    const wanted = (view: ServerView) =>
      (service === '' || serves(view, service)) &&
      (states.length === 0 || states.includes(stateNumber(view.state)));
    const views = [...this.options.mesh.registry.list()].filter(wanted);
    views.sort((a, b) => (a.spec.id < b.spec.id ? -1 : 1));
    return { servers: views.map(view => this.status(view, service)) };
  }

  async add({ server, standby }: AddServerRequest): Promise<AddServerResponse> {
    if (server === undefined) {
      const field = 'server';
      const description = 'the server to add';
      throw new RpcError(Status.INVALID_ARGUMENT, `server: expected ${description}`, [
        { field, description },
      ]);
    }
    const spec = validClaim({ ...server, standby }, 'server', '', this.options.allow);
    const known = this.options.mesh.registry.get(spec.id);
    const address: Precondition = { kind: 'address', id: spec.id, address: spec.address };
    const why = await this.propose({ kind: 'claim', source: 'operator', spec }, 'added by an operator', [
      address,
    ]);
    if (why !== '') {
      const elsewhere = known !== undefined && known.spec.address !== spec.address;
      throw new RpcError(elsewhere ? Status.ALREADY_EXISTS : Status.FAILED_PRECONDITION, why);
    }
    return { server: this.statusById(spec.id) };
  }

  async remove({ id, drainTimeout }: RemoveServerRequest): Promise<RemoveServerResponse> {
    const timeoutMs = validDuration('drain_timeout', drainTimeout, CONTROL.drainMs, 0);
    this.mustHave(id);
    const body: Body =
      timeoutMs === 0
        ? { kind: 'remove', id }
        : { kind: 'drain', id, by: 'operator', timeoutMs, afterwards: 'remove' };
    await this.mustDo(id, body, 'removed by an operator');
    return {};
  }

  async drain({ id, timeout, cause }: DrainServerRequest): Promise<DrainServerResponse> {
    const timeoutMs = validDuration('timeout', timeout, CONTROL.drainMs, DEFAULT_DRAIN_MS);
    const why = validCause('cause', cause, 'drained by an operator');
    this.mustHave(id);
    await this.mustDo(id, { kind: 'drain', id, by: 'operator', timeoutMs, afterwards: 'stay' }, why);
    return { server: this.statusById(id) };
  }

  async undrain({ id }: UndrainServerRequest): Promise<UndrainServerResponse> {
    // Also lifts a removal, so that the id need not be of a server that is there.
    validId('id', id);
    await this.mustDo(id, { kind: 'undrain', id }, 'undrained by an operator');
    return { server: this.statusById(id) };
  }

  async activate({ id, cause }: ActivateServerRequest): Promise<ActivateServerResponse> {
    const why = validCause('cause', cause, 'activated by an operator');
    this.mustHave(id);
    await this.mustDo(id, { kind: 'activate', id }, why, [{ kind: 'standby', id }]);
    return { server: this.statusById(id) };
  }

  async weigh({ id, weight }: SetServerWeightRequest): Promise<SetServerWeightResponse> {
    validWeight('weight', weight);
    this.mustHave(id);
    const why = weight === 0 ? "the operator's weight was taken back" : `weight ${weight} set by an operator`;
    await this.mustDo(id, { kind: 'weight', id, weight }, why);
    return { server: this.statusById(id) };
  }

  heap({ service, zone }: GetHeapRequest): GetHeapResponse {
    validService('service', service);
    const { mesh, clock } = this.options;
    const pool = mesh.pool(service);
    if (pool === undefined) throw new RpcError(Status.NOT_FOUND, `no server serves '${service}'`);
    if (zone !== '' && pool.zoneNamed(zone) === undefined) {
      const zones = pool.zones.map(one => `'${one.name}'`).join(', ');
      throw new RpcError(Status.NOT_FOUND, `the pool of '${service}' has no zone '${zone}', but ${zones}`);
    }
    const heap = pool.heap(clock.now(), zone === '' ? undefined : zone);
    return {
      zone: heap.zone,
      arity: heap.arity,
      nodes: heap.nodes.map(({ slot, score, newcomer, terms }) => ({
        serverId: mesh.idOf(slot),
        score,
        newcomer,
        terms,
      })),
    };
  }

  private mustHave(id: string): void {
    validId('id', id);
    if (this.options.mesh.registry.get(id) === undefined) {
      throw new RpcError(Status.NOT_FOUND, `no server has the id '${id}'`);
    }
  }

  private async mustDo(
    id: string,
    body: Body,
    cause: string,
    preconditions: readonly Precondition[] = [],
  ): Promise<void> {
    const why = await this.propose(body, cause, preconditions);
    if (why === '') return;
    const known = this.options.mesh.registry.get(id) !== undefined;
    throw new RpcError(known ? Status.FAILED_PRECONDITION : Status.NOT_FOUND, why);
  }

  /** Why the log's order made a proposal a no-op; empty where it was applied. */
  private async propose(body: Body, cause: string, preconditions: readonly Precondition[]): Promise<string> {
    // An operator's word that the next start would not know of is better not given.
    const trouble = this.options.cannotKeep?.() ?? '';
    if (trouble !== '') throw new RpcError(Status.UNAVAILABLE, `nothing was changed: ${trouble}`);
    const settling = this.options.mesh.registry
      .propose(body, cause, preconditions)
      .catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new RpcError(Status.UNAVAILABLE, `the change could not be kept: ${reason}`);
      });
    const settled = await this.withPatience(settling);
    const { applied, why, notKept } = settled;
    if (applied && notKept !== undefined) {
      throw new RpcError(Status.UNAVAILABLE, `the change is in force until this instance ends: ${notKept}`);
    }
    return applied ? '' : why;
  }

  /** A log that is away may be so for long, and the change is in the own view meanwhile. */
  private async withPatience<T>(settling: Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const callOff = this.options.clock.after(CONTROL.settleMs, () => {
      const waits = `in force on ${this.options.instanceId}, and waits for the log, which does not answer: the others learn of it once it does`;
      reject(new RpcError(Status.UNAVAILABLE, `the change is ${waits}`));
    });
    try {
      return await Promise.race([settling, late]);
    } finally {
      callOff();
    }
  }

  private statusById(id: string): ServerStatus | undefined {
    const view = this.options.mesh.registry.get(id);
    return view === undefined ? undefined : this.status(view, '');
  }

  private status(view: ServerView, service: string): ServerStatus {
    const { mesh, clock } = this.options;
    return statusOf(mesh, view, service === '' ? undefined : service, clock);
  }
}
