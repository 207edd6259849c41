/** Addresses as callers write them: `host:port`, `[v6]:port`, and `:port` where the host is to be found out. */
import { isIP } from 'node:net';

export interface HostPort {
  /** Without brackets, in lower case; empty where it was left out or is a wildcard. */
  readonly host: string;
  readonly port: number;
}

// RFC 1123 section 2.1: labels of letters, digits and hyphens; container names have underscores too.
const HOST_NAME = /^[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*\.?$/;
const WILDCARDS = new Set(['', '*', '0.0.0.0', '::']);

/** Returns what is wrong, in words, where the text is no address. */
export function parseHostPort(text: string): HostPort | string {
  const match = /^\[([^\]]*)\]:(\d{1,6})$/.exec(text) ?? /^([^:[\]]*):(\d{1,6})$/.exec(text);
  if (match === null) return 'host:port, [IPv6]:port, or :port for the address of the stream';
  const port = Number(match[2]);
  if (port < 1 || port > 65_535) return 'a port from 1 to 65535';
  const host = (match[1] ?? '').toLowerCase();
  const version = isIP(host);
  if (text.startsWith('[') && version !== 6) return 'an IPv6 address between the brackets';
  if (version === 6) {
    const canonical = canonicalV6(host);
    if (canonical === undefined) return 'an IPv6 address without a zone index';
    return { host: WILDCARDS.has(canonical) ? '' : canonical, port };
  }
  if (WILDCARDS.has(host)) return { host: '', port };
  // A name of digits and dots alone that is no IPv4 address is a mistyped one.
  if (version === 0 && (host.length > 253 || /^[\d.]+$/.test(host) || !HOST_NAME.test(host))) {
    return 'an IP address or a host name before the port';
  }
  return { host, port };
}

export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** One spelling for one address (RFC 5952), so that two claims of it are seen to be of one backend. */
function canonicalV6(host: string): string | undefined {
  try {
    return new URL(`http://[${host}]`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
}

/** An address to listen on, where port 0 is a free one and wildcards stay. Throws where it is none. */
export function parseListen(text: string): HostPort {
  const match = /^\[([^\]]*)\]:(\d{1,5})$/.exec(text) ?? /^([^:[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || !(port <= 65_535)) throw new Error(`'${text}' is no address to listen on: host:port`);
  return { host: match[1] as string, port };
}
