/**
 * A resolver that gives a service config replaces the one of the channel's options, and one that gives
 * none leaves the channel with `pick_first`. So ours passes the options' config on, with our policy
 * where it names none.
 */
import type { experimental } from '@grpc/grpc-js';
import { POLICY } from './policy.ts';

type ServiceConfig = Extract<Parameters<experimental.ResolverListener>[2], { ok: true }>['value'];

interface RawName {
  readonly service?: string;
  readonly method?: string;
}

interface RawConfig {
  readonly loadBalancingConfig?: readonly object[];
  readonly methodConfig?: readonly { readonly name: readonly RawName[]; readonly timeout?: unknown }[];
  readonly retryThrottling?: object;
}

export interface ResolvedConfig {
  readonly config: ServiceConfig;
  /** False where the options name a policy of their own. */
  readonly ours: boolean;
}

/** `json` is the option `grpc.service_config`; grpc-js has checked it before any resolver is made. */
export function serviceConfigOf(json: unknown): ResolvedConfig {
  const raw: RawConfig = typeof json === 'string' ? JSON.parse(json) : {};
  const named = raw.loadBalancingConfig ?? [];
  const ours = named.length === 0 || POLICY in (named[0] as object);
  const config = {
    loadBalancingConfig: named.length === 0 ? [{ [POLICY]: {} }] : [...named],
    methodConfig: (raw.methodConfig ?? []).map(method => ({
      ...method,
      name: method.name.map(({ service, method: name }) => ({
        ...(service ? { service } : {}),
        ...(name ? { method: name } : {}),
      })),
      ...(typeof method.timeout === 'string' ? { timeout: durationOf(method.timeout) } : {}),
    })),
    ...(raw.retryThrottling === undefined ? {} : { retryThrottling: raw.retryThrottling }),
  };
  return { config: config as unknown as ServiceConfig, ours };
}

/** `1.5s` as grpc-js holds it once it has read it. */
function durationOf(text: string): { seconds: number; nanos: number } {
  const [seconds = '0', fraction = ''] = text.slice(0, -1).split('.');
  return { seconds: Number(seconds), nanos: Number(fraction.padEnd(9, '0')) };
}
