/** The command line's client of the control API. */
import { ClientError, createChannel, createClient, Metadata } from 'nice-grpc';
import {
  type AdminServiceClient,
  AdminServiceDefinition,
  type ListInstancesResponse,
} from '../gen/heapmesh/v1/admin.ts';
import { type LookasideServiceClient, LookasideServiceDefinition } from '../gen/heapmesh/v1/lookaside.ts';
import { Status } from '../grpc/status.ts';
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
  /** All balancers of the mesh, the one that is asked first; that one alone where its version cannot tell. */
  instances(): Promise<ListInstancesResponse>;
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
  const admin = createClient(AdminServiceDefinition, channel);
  return {
    address: options.control,
    admin,
    async instances() {
      try {
        return await this.call(call => admin.listInstances({}, call));
      } catch (error) {
        const code =
          error instanceof CliError && error.cause instanceof ClientError ? error.cause.code : undefined;
        if (code !== Status.UNIMPLEMENTED) throw error;
        const alone = { id: '', controlAddress: options.control, proxyAddress: '', alive: true };
        return { instances: [{ ...alone, silentFor: undefined }], sharedLog: false };
      }
    },
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
