/**
 * WatchEvents: the registry's events from any position that is still held. A follower has a cursor and
 * no queue: what it has not taken stays in the registry's ring, and who lags behind that is ended.
 */
import { ANY_SERVICE } from '../core/core.ts';
import { CONTROL } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import type { RegistryEvent } from '../core/registry.ts';
import { WatchEventsRequest, WatchEventsResponse } from '../gen/heapmesh/v1/admin.ts';
import { Status } from '../grpc/status.ts';
import { type Authorize, demand } from './authorize.ts';
import type { ControlCounters } from './counters.ts';
import { serverStream } from './methods.ts';
import { type Method, RpcError, type Sink } from './rpc.ts';
import { validService } from './validate.ts';
import { stateNumber } from './views.ts';

export interface EventFeedOptions {
  readonly mesh: Mesh;
  readonly authorize: Authorize;
  readonly counters: ControlCounters;
}

export class EventFeed {
  private readonly options: EventFeedOptions;
  private readonly followers = new Set<Follower>();
  private unfollow: (() => void) | undefined;

  constructor(options: EventFeedOptions) {
    this.options = options;
  }

  method(): Method {
    return serverStream(
      '/heapmesh.v1.AdminService/WatchEvents',
      WatchEventsRequest,
      (request, peer, sink) => {
        const { mesh, authorize, counters } = this.options;
        const { afterPosition, service } = request;
        if (service !== '') validService('service', service);
        demand(authorize, peer, 'admin.read', service);
        if (this.followers.size >= CONTROL.eventWatchers) {
          throw new RpcError(
            Status.RESOURCE_EXHAUSTED,
            `${this.followers.size} followers of events are open`,
          );
        }
        const { registry } = mesh;
        const position = afterPosition === 0n ? registry.position : Number(afterPosition);
        if (registry.eventsAfter(position) === undefined) {
          const why = `events behind position ${afterPosition} are not held; the last position is ${registry.position}`;
          throw new RpcError(Status.OUT_OF_RANGE, why);
        }
        const follower = new Follower(mesh, sink, counters, service, position);
        this.followers.add(follower);
        this.unfollow ??= registry.onEvent(() => {
          for (const one of this.followers) one.pump();
        });
        follower.pump();
        return () => this.drop(follower);
      },
    );
  }

  stop(): void {
    for (const follower of [...this.followers]) {
      follower.end(new RpcError(Status.UNAVAILABLE, 'the balancer is shutting down'));
      this.drop(follower);
    }
  }

  private drop(follower: Follower): void {
    this.followers.delete(follower);
    follower.leave();
    if (this.followers.size > 0) return;
    this.unfollow?.();
    this.unfollow = undefined;
  }
}

class Follower {
  private readonly mesh: Mesh;
  private readonly sink: Sink;
  private readonly counters: ControlCounters;
  private readonly service: string;
  /** Position of the last event that was taken out of the ring. */
  private position: number;
  /** Events of the ring that are being sent, and which is next. */
  private batch: readonly RegistryEvent[] = [];
  private next = 0;
  private busy = false;
  private over = false;

  constructor(mesh: Mesh, sink: Sink, counters: ControlCounters, service: string, position: number) {
    this.mesh = mesh;
    this.sink = sink;
    this.counters = counters;
    this.service = service;
    this.position = position;
  }

  pump(): void {
    while (!this.busy && !this.over) {
      const event = this.take();
      if (event === undefined) return;
      if (!this.wants(event)) continue;
      this.busy = true;
      this.sink.write(encode(event), () => {
        this.busy = false;
        this.pump();
      });
    }
  }

  /** Its reader has gone. */
  leave(): void {
    this.over = true;
    this.batch = [];
  }

  end(error: RpcError): void {
    if (this.over) return;
    this.leave();
    this.sink.end(error);
  }

  private take(): RegistryEvent | undefined {
    if (this.next >= this.batch.length) {
      const { registry } = this.mesh;
      const batch = registry.eventsAfter(this.position);
      if (batch === undefined) {
        this.counters.eventsLost++;
        const why = `read too slowly: events behind position ${this.position} are no longer held`;
        this.end(new RpcError(Status.DATA_LOSS, why));
        return undefined;
      }
      // A part of a position would be lost or doubled by a cut, so a batch is cut between two of them.
      this.batch = cut(batch, CONTROL.eventBacklog);
      this.next = 0;
      this.position = this.batch.at(-1)?.position ?? this.position;
    }
    return this.batch[this.next++];
  }

  private wants(event: RegistryEvent): boolean {
    const { service } = this;
    return service === '' || event.services.includes(service) || event.services.includes(ANY_SERVICE);
  }
}

function cut(events: readonly RegistryEvent[], most: number): readonly RegistryEvent[] {
  if (events.length <= most) return events;
  let end = most;
  while (end < events.length && events[end]?.position === events[end - 1]?.position) end++;
  return events.slice(0, end);
}

function encode(event: RegistryEvent): Uint8Array {
  return WatchEventsResponse.encode({
    position: BigInt(event.position),
    instanceId: event.instanceId,
    time: new Date(event.time),
    kind: event.kind,
    serverId: event.serverId,
    state: stateNumber(event.state),
    cause: event.cause,
  }).finish();
}
