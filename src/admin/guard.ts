/**
 * Who may ask what. There is no authentication here: what protects an operator is that a page of another
 * site, which runs in the operator's own browser, can neither read nor change anything.
 *
 *   DNS rebinding  a name of the attacker's is made to mean this address, and the browser takes his page
 *                  and this server for one site. The Host header still has his name: only names that are
 *                  known to be ours are answered. An address in it is fine, since nobody can make one mean
 *                  another host.
 *   CSRF           a page elsewhere sends a form or a script's request here. What changes something must
 *                  come from our own page (`Origin`, `Sec-Fetch-Site`) or from no browser, and its body is
 *                  JSON, which no form can send and no script without a preflight, which is not answered.
 *
 * See https://fetch.spec.whatwg.org/#origin-header and https://www.w3.org/TR/fetch-metadata/.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import type { Route } from './admin.ts';
import { HttpError } from './reply.ts';

export interface Access {
  /** Whether anything may be changed from here. */
  readonly allowWrites: boolean;
  /** Names of this server beside `localhost`, in lower case; `*` is every name. */
  readonly hosts: ReadonlySet<string>;
}

/** @throws HttpError 403 and 415, which say what would be let through. */
export function guard(route: Route, headers: IncomingHttpHeaders, access: Access): void {
  if (route.anyHost !== true) checkHost(headers.host, access);
  if (route.method !== 'GET') checkWrite(route, headers, access);
  else checkRead(headers);
}

function checkHost(header: string | undefined, { hosts }: Access): void {
  // HTTP/1.0, which no browser speaks.
  if (header === undefined) return;
  const host = /^(\[[0-9A-Fa-f:.]+\]|[^[\]:@/\s]+)(?::\d{1,5})?$/.exec(header)?.[1]?.toLowerCase();
  const name = host?.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  if (name !== undefined) {
    if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return;
    if (hosts.has('*') || hosts.has(name)) return;
  }
  throw new HttpError(
    403,
    `'${header.slice(0, 100)}' is no name of this server; use its address, or add the name to admin.allowedHosts`,
  );
}

function checkWrite(route: Route, headers: IncomingHttpHeaders, access: Access): void {
  if (!access.allowWrites) {
    throw new HttpError(403, 'nothing can be changed from here: admin.allowWrites is false');
  }
  const { host = '', origin } = headers;
  const site = headers['sec-fetch-site'];
  if (origin !== undefined && !isOwnOrigin(origin, host)) throw foreign(`origin '${origin.slice(0, 100)}'`);
  if (site !== undefined && site !== 'same-origin') throw foreign(`sec-fetch-site '${String(site)}'`);
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new HttpError(415, `${route.method} ${route.path} takes a body of content-type application/json`);
  }
}

/** Other sites may link to a page of ours, and not more. */
function checkRead(headers: IncomingHttpHeaders): void {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return;
  if (headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document') return;
  throw foreign(`sec-fetch-site '${String(site)}'`);
}

/** Whatever the scheme: TLS may end in front of us. */
function isOwnOrigin(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}

function foreign(what: string): HttpError {
  return new HttpError(403, `asked by a page of another site (${what})`);
}
