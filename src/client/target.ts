/** `heapmesh://HOST:PORT[,HOST:PORT]/SERVICE[?zone=Z&max_servers=N&client_id=ID&min_interval_ms=T]`. */
import { hostname } from 'node:os';
import { ANY_SERVICE } from '../core/core.ts';
import { CALLER_LIMITS } from '../core/limits.ts';
import { ClientError, requireThat, show } from './error.ts';

export const SCHEME = 'heapmesh';

/** What to watch, and where. */
export interface WatchTarget {
  /** `host:port`, each once, in the order given. */
  readonly balancers: readonly string[];
  readonly service: string;
  /** Empty: none. */
  readonly zone: string;
  /** 0 is all. */
  readonly maxServers: number;
  readonly clientId: string;
  /** Undefined: the balancer's report interval. */
  readonly minIntervalMs: number | undefined;
}

/** Channel options of this SDK; each goes before the target's query. */
export const OPTION = {
  zone: 'heapmesh.zone',
  maxServers: 'heapmesh.max_servers',
  clientId: 'heapmesh.client_id',
  minIntervalMs: 'heapmesh.min_interval_ms',
  /** `ChannelCredentials` for the connection to the balancers; those of the channel are for the servers. */
  credentials: 'heapmesh.balancer_credentials',
} as const;

const QUERY: Readonly<Record<string, string>> = {
  zone: OPTION.zone,
  max_servers: OPTION.maxServers,
  client_id: OPTION.clientId,
  min_interval_ms: OPTION.minIntervalMs,
};

const FORM = `write ${SCHEME}://HOST:PORT[,HOST:PORT]/SERVICE`;

/** A target as grpc-js takes it apart. */
export interface TargetUri {
  readonly scheme?: string | undefined;
  readonly authority?: string | undefined;
  readonly path: string;
}

/** Throws `ClientError` with the code `invalid-options`. */
export function parseTarget(
  uri: TargetUri,
  channelOptions: Readonly<Record<string, unknown>> = {},
): WatchTarget {
  const whole = `${SCHEME}:${uri.authority === undefined ? '' : `//${uri.authority}/`}${uri.path}`;
  const where = `target ${show(whole)}`;
  requireThat(uri.authority !== undefined && uri.authority !== '', where, `names no balancer; ${FORM}`);
  const [service = '', query = '', ...more] = uri.path.split('?');
  requireThat(more.length === 0, where, 'has more than one question mark');
  requireThat(isService(service), where, `has ${show(service)} for a service; ${FORM}`);
  const options: Record<string, unknown> = {};
  for (const [key, value] of new URLSearchParams(query)) {
    const option = Object.hasOwn(QUERY, key) ? QUERY[key] : undefined;
    requireThat(option !== undefined, where, `has ${show(key)}; known are ${Object.keys(QUERY).join(', ')}`);
    options[option] = option === OPTION.maxServers || option === OPTION.minIntervalMs ? Number(value) : value;
  }
  for (const option of Object.values(QUERY)) {
    if (channelOptions[option] !== undefined) options[option] = channelOptions[option];
  }
  return {
    balancers: parseBalancers(uri.authority.split(','), where),
    service,
    zone: text(options, OPTION.zone) ?? '',
    maxServers: wholeNumber(options, OPTION.maxServers) ?? 0,
    clientId: text(options, OPTION.clientId) ?? defaultClientId(),
    minIntervalMs: wholeNumber(options, OPTION.minIntervalMs),
  };
}

export function isService(service: unknown): service is string {
  return typeof service === 'string' && (service === ANY_SERVICE || /^[A-Za-z_][\w.]*$/.test(service));
}

/** Addresses checked, each once. Throws `ClientError` with the code `invalid-options`. */
export function parseBalancers(addresses: readonly unknown[], field: string): string[] {
  requireThat(addresses.length > 0, field, 'names no balancer');
  requireThat(
    addresses.length <= CALLER_LIMITS.balancers,
    field,
    `names more than ${CALLER_LIMITS.balancers} balancers`,
  );
  for (const address of addresses) {
    const fine = typeof address === 'string' && parseAddress(address) !== undefined;
    requireThat(fine, field, `names ${show(address)} for a balancer; write host:port`);
  }
  return [...new Set(addresses as string[])];
}

/** `host:port` with brackets around an IPv6 host; undefined where it is something else. */
export function parseAddress(address: string): { host: string; port: number } | undefined {
  const parts = /^(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^\s:/,[\]]+)):(\d{1,5})$/.exec(address);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/**
 * What a balancer chooses a caller's subset by. The same after a restart as far as that can be, and
 * another one in every process of a machine.
 */
function defaultClientId(): string {
  return `${hostname()}-${process.pid}`;
}

function text(options: Record<string, unknown>, key: string): string | undefined {
  const value = options[key];
  if (value === undefined) return undefined;
  const fine = typeof value === 'string' && Buffer.byteLength(value) <= CALLER_LIMITS.optionBytes;
  if (fine) return value;
  throw new ClientError(
    'invalid-options',
    `${key} is ${show(value)}; give a string of at most ${CALLER_LIMITS.optionBytes} bytes`,
  );
}

function wholeNumber(options: Record<string, unknown>, key: string): number | undefined {
  const value = options[key];
  if (value === undefined) return undefined;
  const fine = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31;
  requireThat(fine, key, `is ${show(value)}; give a whole number, 0 or more`);
  return value;
}
