/** One balancer of a pick client: its connection, whether it is there, the outcomes that are for it. */
import type { ChannelCredentials, Client, ClientUnaryCall, ServiceError } from '@grpc/grpc-js';
import { PickServerRequest, PickServerResponse } from '../gen/heapmesh/v1/lookaside.ts';
import type { TraceContext } from '../grpc/trace-context.ts';
import { Backoff } from './backoff.ts';
import { type ChannelOptions, Connectivity, type GrpcJs } from './grpc.ts';
import { type OutcomeCounts, Outcomes } from './outcomes.ts';
import { quiet } from './quiet.ts';
import { BALANCER_CHANNEL } from './watch.ts';

const METHOD = '/heapmesh.v1.LookasideService/PickServer';

export interface BalancerOptions {
  readonly grpc: GrpcJs;
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly channelOptions: ChannelOptions;
  readonly counts: OutcomeCounts;
  readonly flushMs: number;
  readonly flushOutcomes: number;
  readonly outcomeQueue: number;
}

export type PickAnswer =
  | {
      readonly kind: 'picked';
      readonly response: PickServerResponse;
      /** `traceresponse`: the balancer's span of the pick; empty where it made none. */
      readonly trace: string;
    }
  /** The balancer's own word. */
  | { readonly kind: 'answered'; readonly status: number; readonly details: string }
  /** It could not be reached, or did not answer in time. */
  | { readonly kind: 'silent'; readonly details: string };

export class Balancer {
  readonly address: string;
  readonly outcomes: Outcomes;
  /** Until then others are asked first, ms of `performance.now()`. */
  downUntil = 0;

  readonly #grpc: GrpcJs;
  readonly #client: Client;
  readonly #backoff = new Backoff(Math.random);
  readonly #calls = new Set<ClientUnaryCall>();

  constructor(options: BalancerOptions) {
    const { grpc, address, credentials, channelOptions, counts, flushMs, flushOutcomes } = options;
    this.address = address;
    this.#grpc = grpc;
    this.#client = new grpc.Client(`dns:${address}`, quiet(grpc, credentials), {
      ...BALANCER_CHANNEL,
      // A balancer that was restarted is asked again soon.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000,
      ...channelOptions,
    });
    this.outcomes = new Outcomes({
      grpc,
      client: this.#client,
      backoff: new Backoff(Math.random),
      counts,
      flushMs,
      flushOutcomes,
      queue: options.outcomeQueue,
    });
  }

  /** `timeoutMs` is for this balancer alone. @param context to go with the pick; undefined: it is not traced */
  pick(
    request: PickServerRequest,
    timeoutMs: number,
    context: TraceContext | undefined,
  ): Promise<PickAnswer> {
    return new Promise(resolve => {
      const deadline = Date.now() + timeoutMs;
      const metadata = new this.#grpc.Metadata();
      if (context !== undefined) {
        if (context.traceparent !== '') metadata.set('traceparent', context.traceparent);
        if (context.tracestate !== '') metadata.set('tracestate', context.tracestate);
      }
      let trace = '';
      const answered = (error: ServiceError | null, response?: PickServerResponse) => {
        this.#calls.delete(call);
        if (error === null && response !== undefined) {
          this.downUntil = 0;
          this.#backoff.reset();
          resolve({ kind: 'picked', response, trace });
        } else {
          resolve(this.#failed(error));
        }
      };
      const call = this.#client.makeUnaryRequest(
        METHOD,
        encode,
        decode,
        request,
        metadata,
        { deadline },
        answered,
      );
      if (context !== undefined) {
        call.on('metadata', head => {
          trace = head.get('traceresponse')[0]?.toString() ?? '';
        });
      }
      this.#calls.add(call);
    });
  }

  /** Ends the picks that wait for an answer. */
  cancel(): void {
    for (const call of this.#calls) call.cancel();
  }

  close(): void {
    this.#client.close();
  }

  #failed(error: ServiceError | null): PickAnswer {
    const { status } = this.#grpc;
    const code = error?.code ?? status.UNKNOWN;
    const details = `${this.address}: ${error?.details || `status ${code}`}`;
    // Where the connection stands, the status is the balancer's and no fault of the way to it.
    const stands = this.#client.getChannel().getConnectivityState(false) === Connectivity.READY;
    // A balancer that is ended by force resets its calls.
    const gone = code === status.DEADLINE_EXCEEDED || code === status.CANCELLED;
    // grpc-js's own word, which may be heard when the balancer is back already.
    const unconnected = error?.details.startsWith('No connection established') ?? false;
    if (gone || (code === status.UNAVAILABLE && (!stands || unconnected))) {
      this.downUntil = performance.now() + this.#backoff.next();
      return { kind: 'silent', details };
    }
    return { kind: 'answered', status: code, details };
  }
}

function encode(message: PickServerRequest): Buffer {
  return Buffer.from(PickServerRequest.encode(message).finish());
}

function decode(bytes: Buffer): PickServerResponse {
  return PickServerResponse.decode(bytes);
}
