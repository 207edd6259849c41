/** The command line's client of the control API. */
import { ClientError, createChannel, createClient, Metadata } from 'nice-grpc';
import { type AdminServiceClient, AdminServiceDefinition } from '../gen/heapmesh/v1/admin.ts';
import { type LookasideServiceClient, LookasideServiceDefinition } from '../gen/heapmesh/v1/lookaside.ts';
import { CliError, Exit } from './cli.ts';
import { explainControlError } from './grpc-error.ts';

/** What a call is made with. */
export interface CallOptions {
  readonly signal: AbortSignal;
  readonly onTrailer: (trailer: Metadata) => void;
}

export interface Control {
  readonly address: string;
  readonly admin: AdminServiceClient;
  readonly lookaside: LookasideServiceClient;
  /**
   * Makes one call within the time-out.
   *
   * @throws CliError that says what was wrong and what to do.
   */
  call<T>(run: (options: CallOptions) => Promise<T>): Promise<T>;
  close(): void;
}

export interface ControlOptions {
  /** `host:port`. */
  readonly control: string;
  /** Of each call, ms. */
  readonly timeout: number;
}

/** Channel settings for addresses inside a mesh. */
export const CHANNEL_OPTIONS = {
  // A proxy of the environment is for the outside; grpc-js would send `CONNECT 127.0.0.1` to it.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
} as const;

export function openControl(options: ControlOptions): Control {
  const channel = createChannel(options.control, undefined, CHANNEL_OPTIONS);
  return {
    address: options.control,
    admin: createClient(AdminServiceDefinition, channel),
    lookaside: createClient(LookasideServiceDefinition, channel),
    async call(run) {
      const signal = AbortSignal.timeout(options.timeout);
      let trailer = Metadata();
      try {
        return await run({ signal, onTrailer: received => (trailer = received) });
      } catch (error) {
        if (error instanceof ClientError) throw explainControlError(error, trailer, options.control);
        if (!signal.aborted) throw error;
        throw new CliError(
          `the balancer at ${options.control} did not answer within ${options.timeout} ms: give it longer with --timeout, or name another with --control`,
          Exit.FAILURE,
          { cause: error },
        );
      }
    },
    close: () => channel.close(),
  };
}
