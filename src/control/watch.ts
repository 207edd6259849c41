/**
 * One WatchServers stream. At most one message is on its way to the reader; what happens meanwhile is
 * not queued but read from the service's list when the reader is ready: the latest state, coalesced.
 */
import type { ControlCounters } from './counters.ts';
import type { Sink } from './rpc.ts';
import { type Balancers, isDue } from './watch-encode.ts';
import type { Chunk, Position, WatchedService } from './watched-service.ts';

export interface Feed {
  chunk(at: Position, balancers: Balancers, now: number): Chunk;
}

export class Watch {
  readonly service: WatchedService;
  /** Ticks between two rounds of loads, and which of them are this watch's. */
  readonly everyTicks: number;
  readonly phase: number;
  private readonly feed: Feed;
  private readonly sink: Sink;
  private readonly counters: ControlCounters;
  private readonly at: Position;
  private nextSince = Number.NEGATIVE_INFINITY;
  private due = true;
  private busy = false;
  private over = false;

  constructor(
    service: WatchedService,
    feed: Feed,
    sink: Sink,
    counters: ControlCounters,
    everyTicks: number,
    phase: number,
  ) {
    this.service = service;
    this.feed = feed;
    this.sink = sink;
    this.counters = counters;
    this.everyTicks = everyTicks;
    this.phase = phase;
    this.at = {
      cursor: 0,
      fresh: true,
      snapshotVersion: service.version,
      loadAt: -1,
      since: 0,
      balancers: 0,
      instances: 0,
    };
  }

  /** A round of loads is due, with the next message that the reader takes. */
  round(): void {
    if (this.busy) this.counters.watchSkips++;
    this.due = true;
  }

  /** Sends the next message where there is one and the reader is ready. */
  pump(balancers: Balancers, now: number, again: (watch: Watch) => void): void {
    const { at, service } = this;
    if (this.busy || this.over) return;
    if (!at.fresh && at.cursor < service.floor) this.resync();
    if (this.due && at.loadAt < 0) {
      this.due = false;
      at.loadAt = 0;
      at.since = this.nextSince;
      this.nextSince = now;
    }
    const changed = at.cursor < service.version || isDue(at, balancers);
    if (!changed && at.loadAt < 0) return;
    const { bytes, cursor, loadAt } = this.feed.chunk(at, balancers, now);
    at.cursor = cursor;
    at.loadAt = loadAt;
    if (bytes === undefined) return;
    at.fresh = false;
    at.balancers = balancers.count;
    at.instances = balancers.version;
    this.busy = true;
    this.counters.watchMessages++;
    this.counters.watchBytes += bytes.length;
    this.sink.write(bytes, () => {
      this.busy = false;
      again(this);
    });
  }

  /** The reader has gone, or the service ends. */
  end(): void {
    this.over = true;
  }

  /** It lags behind all that is kept: it begins anew. */
  private resync(): void {
    const { at, service } = this;
    this.counters.watchResyncs++;
    at.cursor = 0;
    at.fresh = true;
    at.snapshotVersion = service.version;
    at.loadAt = 0;
    at.since = Number.NEGATIVE_INFINITY;
  }
}
