/**
 * What became of leases, told to the balancer that gave them: a bounded queue, sent in batches over one
 * `ReportOutcomes` stream. The stream is ended now and then, since the balancer's counts come with its end.
 */
import type { Client, ClientWritableStream } from '@grpc/grpc-js';
import { CALLER_LIMITS } from '../core/limits.ts';
import { ReportOutcomesRequest, ReportOutcomesResponse } from '../gen/heapmesh/v1/lookaside.ts';
import type { Backoff } from './backoff.ts';
import type { GrpcJs } from './grpc.ts';
import { later } from './timers.ts';

const METHOD = '/heapmesh.v1.LookasideService/ReportOutcomes';

export interface OutcomeCounts {
  /** Handed to a stream, renewals included. */
  sent: number;
  /** Of these: taken by the balancer. */
  accepted: number;
  /** Of these: of a lease that was over, e.g. by its time. */
  unknown: number;
  /** Of these: of another instance's lease. */
  foreign: number;
  /** Of these: on a stream that broke before the balancer had said what it took. */
  unconfirmed: number;
  /** Never sent: the queue was full, or the lease's time was up before a balancer was there. */
  dropped: number;
}

export interface OutcomesOptions {
  readonly grpc: GrpcJs;
  readonly client: Client;
  readonly backoff: Backoff;
  readonly counts: OutcomeCounts;
  readonly flushMs: number;
  readonly flushOutcomes: number;
  readonly queue: number;
}

interface Waiting {
  readonly message: ReportOutcomesRequest;
  /** When the lease is over anyway, ms of `performance.now()`. */
  readonly expires: number;
}

type Stream = ClientWritableStream<ReportOutcomesRequest>;

export class Outcomes {
  readonly #options: OutcomesOptions;
  #queue: Waiting[] = [];
  #stream: Stream | undefined;
  /** Streams that have been ended, or not, and whose counts have not come. */
  readonly #open = new Map<Stream, number>();
  #flushTimer: NodeJS.Timeout | undefined;
  #turnTimer: NodeJS.Timeout | undefined;
  #retryAt = 0;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(options: OutcomesOptions) {
    this.#options = options;
  }

  /** `ttlMs`: how long the balancer will know the lease. */
  push(message: ReportOutcomesRequest, ttlMs: number): void {
    const { counts, flushMs, flushOutcomes, queue } = this.#options;
    if (this.#closed) {
      counts.dropped++;
      return;
    }
    if (this.#queue.length >= queue) {
      this.#queue.shift();
      counts.dropped++;
    }
    this.#queue.push({ message, expires: performance.now() + ttlMs });
    if (this.#queue.length >= flushOutcomes) this.#flush();
    else this.#flushTimer ??= later(flushMs, () => this.#flush());
  }

  /** Sends what waits, and waits for the counts as long as it is given. */
  async close(graceMs: number): Promise<void> {
    if (this.#closed) return;
    this.#retryAt = 0;
    this.#flush();
    this.#closed = true;
    if (this.#queue.length === 0) this.#endStream();
    if (this.#open.size > 0 || this.#queue.length > 0) {
      await new Promise<void>(resolve => {
        // Somebody waits for this one, so it keeps the process alive.
        const timer = setTimeout(resolve, graceMs);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    clearTimeout(this.#flushTimer);
    clearTimeout(this.#turnTimer);
    this.#options.counts.dropped += this.#queue.length;
    this.#queue = [];
    for (const stream of this.#open.keys()) stream.cancel();
  }

  #flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    const now = performance.now();
    if (this.#stream === undefined && this.#retryAt > now) {
      this.#flushTimer = later(this.#retryAt - now, () => this.#flush());
      return;
    }
    const { counts } = this.#options;
    let taken = 0;
    let sent = 0;
    for (const { message, expires } of this.#queue) {
      const stream = this.#stream;
      if (stream?.writableNeedDrain) break;
      taken++;
      if (expires <= now) {
        counts.dropped++;
        continue;
      }
      (stream ?? this.#openStream()).write(message);
      sent++;
    }
    this.#queue.splice(0, taken);
    counts.sent += sent;
    if (this.#stream !== undefined) this.#open.set(this.#stream, (this.#open.get(this.#stream) ?? 0) + sent);
  }

  #openStream(): Stream {
    const { grpc, client, backoff, counts } = this.#options;
    const stream = client.makeClientStreamRequest<ReportOutcomesRequest, ReportOutcomesResponse>(
      METHOD,
      encode,
      decode,
      new grpc.Metadata(),
      (error, response) => {
        const sent = this.#open.get(stream) ?? 0;
        this.#open.delete(stream);
        if (this.#stream === stream) this.#stream = undefined;
        if (error !== null || response === undefined) {
          counts.unconfirmed += sent;
          this.#retryAt = performance.now() + backoff.next();
          if (this.#queue.length > 0 && !this.#closed) this.#flushTimer ??= later(0, () => this.#flush());
        } else {
          backoff.reset();
          counts.accepted += Number(response.accepted);
          counts.unknown += Number(response.unknown);
          counts.foreign += Number(response.foreign);
        }
        if (this.#closed && this.#open.size === 0) this.#idle?.();
      },
    );
    stream.on('drain', () => {
      if (this.#queue.length > 0) this.#flush();
      if (this.#closed && this.#queue.length === 0) this.#endStream();
    });
    // What went wrong comes with the callback, too.
    stream.on('error', () => {});
    this.#stream = stream;
    this.#open.set(stream, 0);
    clearTimeout(this.#turnTimer);
    this.#turnTimer = later(CALLER_LIMITS.outcomeStreamMs, () => this.#endStream());
    return stream;
  }

  #endStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.end();
  }
}

function encode(message: ReportOutcomesRequest): Buffer {
  return Buffer.from(ReportOutcomesRequest.encode(message).finish());
}

function decode(bytes: Buffer): ReportOutcomesResponse {
  return ReportOutcomesResponse.decode(bytes);
}
