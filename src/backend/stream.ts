/** One `ReportLoad` stream on a connection of its own, from its opening to its status. */
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
} from '@grpc/grpc-js';
import { REPORTER_LIMITS } from '../core/limits.ts';
import { ReportLoadRequest, ReportLoadResponse } from '../gen/heapmesh/v1/load_report.ts';
import { Status } from '../grpc/status.ts';

const METHOD = '/heapmesh.v1.LoadReportService/ReportLoad';

const CHANNEL: ChannelOptions = {
  // Each stream proves by itself whether its balancer is there, and backs off by itself.
  'grpc.use_local_subchannel_pool': 1,
  // The reporter opens the next stream; a channel that kept messages for a retry would keep all of them.
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  // Balancers are in the same network as the backend.
  'grpc.enable_http_proxy': 0,
  'grpc.max_receive_message_length': REPORTER_LIMITS.messageBytes,
  // A connection that was cut without a word would else be noticed by TCP after a quarter of an hour.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
};

export interface StreamHandlers {
  message(message: ReportLoadResponse): void;
  /** Once, unless the stream was dropped. */
  end(code: number, details: string): void;
}

export interface ChannelSettings {
  readonly credentials: ChannelCredentials | undefined;
  readonly options: ChannelOptions;
}

export class ReportStream {
  readonly #client: Client;
  readonly #call: ClientDuplexStream<ReportLoadRequest, ReportLoadResponse>;
  #handlers: StreamHandlers | undefined;
  #sequence = 0n;
  #halfClosed = false;

  constructor(address: string, channel: ChannelSettings, handlers: StreamHandlers) {
    this.#handlers = handlers;
    const options = { ...CHANNEL, ...channel.options };
    this.#client = new Client(address, channel.credentials ?? credentials.createInsecure(), options);
    this.#call = this.#client.makeBidiStreamRequest(METHOD, encode, decode, new Metadata());
    this.#call.on('data', (message: ReportLoadResponse) => this.#handlers?.message(message));
    // What went wrong comes with the status, too.
    this.#call.on('error', () => {});
    this.#call.on('status', status => {
      this.#end(status.code, status.details);
    });
  }

  /** True while the balancer takes nothing: what is sent now would only wait in memory. */
  get congested(): boolean {
    return this.#call.writableNeedDrain;
  }

  send(kind: NonNullable<ReportLoadRequest['kind']>, window?: ReportLoadRequest['window']): void {
    if (this.#handlers === undefined || this.#halfClosed) return;
    this.#sequence += 1n;
    this.#call.write({ kind, sequence: this.#sequence, window });
  }

  /** Says that no more will come; the balancer ends the stream. */
  halfClose(): void {
    if (this.#handlers === undefined || this.#halfClosed) return;
    this.#halfClosed = true;
    this.#call.end();
  }

  /** Ends it at once; `end` is called with this reason. */
  abort(details: string): void {
    this.#call.cancel();
    this.#end(Status.UNAVAILABLE, details);
  }

  /** Ends it at once, without a word to anybody. */
  drop(): void {
    this.#handlers = undefined;
    this.#call.cancel();
    this.#client.close();
  }

  #end(code: number, details: string): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    this.#handlers = undefined;
    this.#client.close();
    handlers.end(code, details);
  }
}

function encode(message: ReportLoadRequest): Buffer {
  const bytes = ReportLoadRequest.encode(message).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decode(bytes: Buffer): ReportLoadResponse {
  return ReportLoadResponse.decode(bytes);
}
