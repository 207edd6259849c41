/** Addresses as callers write them: `host:port`, `[v6]:port`, and `:port` where the host is to be found out. */
import { isIP } from 'node:net';
import { isHostName, splitHostPort } from '../core/host-port.ts';

export interface HostPort {
  /** Without brackets, in lower case; empty where it was left out or is a wildcard. */
  readonly host: string;
  readonly port: number;
}

const WILDCARDS = new Set(['', '*', '0.0.0.0', '::']);

/** Returns what is wrong, in words, where the text is no address. */
export function parseHostPort(text: string): HostPort | string {
  const parts = splitHostPort(text);
  if (parts === undefined) return 'host:port, [IPv6]:port, or :port for the address of the stream';
  const port = Number(parts.port);
  if (port < 1 || port > 65_535) return 'a port from 1 to 65535';
  const host = parts.host.toLowerCase();
  const version = isIP(host);
  if (parts.bracketed && version !== 6) return 'an IPv6 address between the brackets';
  if (version === 6) {
    const canonical = canonicalV6(host);
    if (canonical === undefined) return 'an IPv6 address without a zone index';
    return { host: WILDCARDS.has(canonical) ? '' : canonical, port };
  }
  if (WILDCARDS.has(host)) return { host: '', port };
  if (version === 0 && !isHostName(host)) return 'an IP address or a host name before the port';
  return { host, port };
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
  const parts = splitHostPort(text);
  const port = Number(parts?.port);
  if (parts === undefined || parts.host === '' || port > 65_535) {
    throw new Error(`'${text}' is no address to listen on: host:port`);
  }
  return { host: parts.host, port };
}
