/**
 * grpc-js as this SDK uses it. The module is handed in, since a tree can hold several copies of it and
 * what one copy made is nothing to another; so types are those of our own copy, and the parameter asks
 * only for what tells a grpc-js.
 */
import type * as grpcjs from '@grpc/grpc-js';
import type { experimental } from '@grpc/grpc-js';
import { ClientError } from './error.ts';

/** What `import * as grpc from '@grpc/grpc-js'` gives, of whichever copy. */
export interface GrpcModule {
  readonly experimental: object;
  readonly Client: unknown;
  readonly Metadata: unknown;
  readonly ChannelCredentials: unknown;
  readonly connectivityState: object;
}

export type GrpcJs = typeof grpcjs;
export type LoadBalancer = experimental.LoadBalancer;
export type ControlHelper = experimental.ChannelControlHelper;
export type Subchannel = experimental.SubchannelInterface;
export type LbConfig = experimental.TypedLoadBalancingConfig;
export type Endpoint = experimental.Endpoint;
export type EndpointsOrError = experimental.StatusOr<Endpoint[]>;
export type Picker = experimental.Picker;
export type PickArgs = experimental.PickArgs;
export type PickResult = experimental.PickResult;
export type ResolverListener = experimental.ResolverListener;
export type GrpcUri = experimental.GrpcUri;
export type ChannelOptions = grpcjs.ChannelOptions;
export type StatusObject = grpcjs.StatusObject;

/** `grpc.connectivityState`, by grpc's own numbers. */
export const Connectivity = { IDLE: 0, CONNECTING: 1, READY: 2, TRANSIENT_FAILURE: 3 } as const;

/** `experimental.PickResultType`. */
export const PickKind = { COMPLETE: 0, QUEUE: 1, TRANSIENT_FAILURE: 2 } as const;

/** What must be there of the module and of its experimental part; the contract test pins how it behaves. */
const NEEDED = ['Client', 'Metadata', 'ChannelCredentials', 'connectivityState', 'credentials'] as const;
const NEEDED_EXPERIMENTAL = [
  'registerResolver',
  'registerLoadBalancerType',
  'statusOrFromValue',
  'statusOrFromError',
  'SUBCHANNEL_ARGS_EXCLUDE_KEY_PREFIX',
] as const;

/** Throws `ClientError` with the code `wrong-grpc` where the module is none that this SDK works with. */
export function asGrpcJs(module: GrpcModule): GrpcJs {
  const given = module as unknown as Record<string, unknown> | undefined;
  if (typeof given !== 'object' || given === null) {
    throw new ClientError('wrong-grpc', 'hand in the module: import * as grpc from "@grpc/grpc-js"');
  }
  const inner = given.experimental as Record<string, unknown> | undefined;
  const missing: string[] = NEEDED.filter(name => given[name] === undefined);
  for (const name of NEEDED_EXPERIMENTAL) {
    if (inner?.[name] === undefined) missing.push(`experimental.${name}`);
  }
  const states = given.connectivityState as Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(Connectivity)) {
    if (states !== undefined && states[name] !== value) missing.push(`connectivityState.${name} = ${value}`);
  }
  const kinds = inner?.PickResultType as Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(PickKind)) {
    if (kinds?.[name] !== value) missing.push(`experimental.PickResultType.${name} = ${value}`);
  }
  if (missing.length === 0) return given as unknown as GrpcJs;
  throw new ClientError(
    'wrong-grpc',
    `the module is no grpc-js of >=1.14.4 <1.15: it lacks ${missing.join(', ')}`,
  );
}
