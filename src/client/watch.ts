/** A `WatchServers` stream that goes on: to the next balancer, or to the same one when it is back. */
import type { ChannelCredentials, Client, ClientReadableStream } from '@grpc/grpc-js';
import { CALLER_LIMITS } from '../core/limits.ts';
import { WatchServersRequest, WatchServersResponse } from '../gen/heapmesh/v1/lookaside.ts';
import { Backoff } from './backoff.ts';
import type { ChannelOptions, GrpcJs } from './grpc.ts';
import { quiet } from './quiet.ts';
import { later } from './timers.ts';

const METHOD = '/heapmesh.v1.LookasideService/WatchServers';

/** For connections to balancers. */
export const BALANCER_CHANNEL: ChannelOptions = {
  // Each connection proves by itself whether its balancer is there, and backs off by itself.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_retries': 0,
  // Balancers are in the same network as their callers.
  'grpc.enable_http_proxy': 0,
  'grpc.max_receive_message_length': CALLER_LIMITS.messageBytes,
  // A connection that was cut without a word would else be noticed by TCP after a quarter of an hour.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
};

export interface WatchOptions {
  readonly grpc: GrpcJs;
  readonly balancers: readonly string[];
  readonly credentials: ChannelCredentials;
  readonly request: WatchServersRequest;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly onMessage: (message: WatchServersResponse, balancer: string) => void;
  /** All balancers were tried in vain, one after the other; called once a round. */
  readonly onFailure: (why: string) => void;
}

export class Watch {
  readonly #options: WatchOptions;
  readonly #backoff: Backoff;
  /** Where in the list of balancers the present one is; callers begin anywhere, so that they spread. */
  #at: number;
  /** Those of the target, then those that a balancer has named. */
  #balancers: readonly string[];
  #failures: string[] = [];
  #client: Client | undefined;
  #call: ClientReadableStream<WatchServersResponse> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#balancers = options.balancers;
    this.#at = Math.floor(options.random() * options.balancers.length);
    this.#open();
  }

  close(): void {
    this.#closed = true;
    this.#release();
  }

  /** A balancer has named all instances: those of them that the target does not name stand in for it, too. */
  learn(addresses: readonly string[]): void {
    const present = this.#balancers[this.#at] as string;
    const all = [...this.#options.balancers, ...addresses.filter(isHostPort)];
    const kept = [...new Set([...all, present])].slice(0, CALLER_LIMITS.balancers);
    this.#balancers = kept;
    this.#at = Math.max(0, kept.indexOf(present));
  }

  #open(): void {
    const { grpc, credentials, request, onMessage } = this.#options;
    const balancer = this.#balancers[this.#at] as string;
    const channel = quiet(grpc, credentials);
    const client = new grpc.Client(`dns:${balancer}`, channel, BALANCER_CHANNEL);
    const call = client.makeServerStreamRequest(METHOD, encode, decode, request, new grpc.Metadata());
    this.#client = client;
    this.#call = call;
    let steady: NodeJS.Timeout | undefined;
    this.#timer = later(CALLER_LIMITS.firstMessageMs, () => {
      call.cancel();
      this.#ended(call, `${balancer} sent no list for ${CALLER_LIMITS.firstMessageMs} ms`);
    });
    call.on('data', (message: WatchServersResponse) => {
      if (this.#call !== call) return;
      if (steady === undefined) {
        clearTimeout(this.#timer);
        // Before that, one that serves and goes away again and again counts like one that is not there.
        steady = this.#timer = later(CALLER_LIMITS.steadyMs, () => {
          this.#failures = [];
          this.#backoff.reset();
        });
      }
      onMessage(message, balancer);
    });
    // What went wrong comes with the status, too.
    call.on('error', () => {});
    call.on('status', status => {
      this.#ended(call, `${balancer}: ${status.details || `status ${status.code}`}`);
    });
  }

  #ended(call: ClientReadableStream<WatchServersResponse>, why: string): void {
    if (this.#closed || this.#call !== call) return;
    this.#release();
    const { onFailure } = this.#options;
    this.#at = (this.#at + 1) % this.#balancers.length;
    this.#failures.push(why);
    if (this.#failures.length < this.#balancers.length) {
      this.#timer = later(0, () => this.#open());
      return;
    }
    const whole = this.#failures.join('; ');
    this.#failures = [];
    this.#timer = later(this.#backoff.next(), () => this.#open());
    onFailure(whole);
  }

  #release(): void {
    clearTimeout(this.#timer);
    const call = this.#call;
    this.#call = undefined;
    call?.cancel();
    this.#client?.close();
    this.#client = undefined;
  }
}

function isHostPort(address: string): boolean {
  return /^[^\s:]+:\d+$|^\[[^\]\s]+\]:\d+$/.test(address);
}

function encode(message: WatchServersRequest): Buffer {
  return Buffer.from(WatchServersRequest.encode(message).finish());
}

function decode(bytes: Buffer): WatchServersResponse {
  return WatchServersResponse.decode(bytes);
}
