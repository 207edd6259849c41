/** The syntax of `host:port` and `[v6]:port`. What a host may be beside a name, each reader decides for itself. */

export interface HostPortText {
  /** Without brackets. */
  readonly host: string;
  /** Digits. */
  readonly port: string;
  readonly bracketed: boolean;
}

/** Splits at the port; undefined where the text is of neither form. The host may be empty, or no host at all. */
export function splitHostPort(text: string): HostPortText | undefined {
  const bracketed = /^\[([^\]]*)\]:(\d+)$/.exec(text);
  const match = bracketed ?? /^([^:[\]]*):(\d+)$/.exec(text);
  if (match === null) return undefined;
  return { host: match[1] as string, port: match[2] as string, bracketed: bracketed !== null };
}

export function formatHostPort(host: string, port: number | string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

// RFC 1123 section 2.1: labels of letters, digits and hyphens; container names have underscores too.
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}))*\.?$/;

/** Whether it may be the name of a host. One of digits and dots alone is an IPv4 address, mistyped where it is none. */
export function isHostName(text: string): boolean {
  return HOST_NAME.test(text) && !/^[\d.]+$/.test(text);
}
