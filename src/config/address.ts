/** Syntax of what a config names on the network: addresses, CIDR blocks, gRPC service names. */
import { isIP } from 'node:net';
import { formatHostPort, isHostName, splitHostPort } from '../core/host-port.ts';

export interface Address {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

const SERVICE_NAME = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/;

/** Reads `host:port` or `[v6]:port`. Returns what is wrong, in words, where it is neither. */
export function parseAddress(text: string, options: { anyPort?: boolean } = {}): Address | string {
  const parts = splitHostPort(text);
  if (parts === undefined) return whyNoAddress(text);
  const { host, bracketed } = parts;
  const port = Number(parts.port);
  const lowest = options.anyPort ? 0 : 1;
  if (port < lowest || port > 65_535) return `port ${parts.port} is not within ${lowest} to 65535`;
  if (bracketed) {
    return isIP(host) === 6 ? { host, port } : `[${host}] is no IPv6 address`;
  }
  if (host === '') return 'the host is missing (0.0.0.0 or [::] is every interface)';
  if (isIP(host) !== 4 && !isHostName(host)) {
    return `'${host}' is neither a host name nor an IP address`;
  }
  return { host, port };
}

/** How an address begins that is a name to be resolved, as gRPC writes it: without an authority. */
export const DNS_SCHEME = 'dns:///';

/** The `name:port` of a `dns:///` address; undefined for one that is none. */
export function dnsName(text: string): string | undefined {
  return text.startsWith(DNS_SCHEME) ? text.slice(DNS_SCHEME.length) : undefined;
}

/** Whether the host of `host:port` is a name that may have several addresses. */
export function isName(text: string): boolean {
  const address = parseAddress(text);
  return typeof address === 'object' && isIP(address.host) === 0 && !isLoopback(address.host);
}

function whyNoAddress(text: string): string {
  if (/^[a-z]+:\/\//i.test(text)) return 'a URL is no address: leave out the scheme';
  if (isIP(text) === 6 || /^[0-9a-f:.]+:\d+$/i.test(text)) return 'an IPv6 address needs brackets';
  if (!text.includes(':')) return 'the port is missing';
  return 'not an address';
}

export function formatAddress({ host, port }: Address): string {
  return formatHostPort(host, port);
}

/** True where only programs on this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  const v4 = host.toLowerCase().startsWith('::ffff:') ? host.slice(7) : host;
  return isIP(v4) === 4 && v4.startsWith('127.');
}

/** Returns what is wrong with a CIDR block such as 10.0.0.0/8, or undefined where nothing is. */
export function cidrFault(text: string): string | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (match === null) return isIP(text) === 0 ? 'not a CIDR block' : 'the prefix length is missing';
  const version = isIP(match[1] ?? '');
  if (version === 0) return `'${match[1]}' is no IP address`;
  const longest = version === 4 ? 32 : 128;
  return Number(match[2]) > longest ? `prefix length ${match[2]} is above ${longest}` : undefined;
}

/** True for a fully qualified gRPC service name; `*` is none. */
export function isServiceName(text: string): boolean {
  return SERVICE_NAME.test(text);
}
