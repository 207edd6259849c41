/**
 * The admin HTTP endpoint: a table of routes, handed in by who wires, behind checks that no route can
 * leave out (`guard.ts`): hosts, sites, sizes, methods. Routes know neither sockets nor `node:http`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatHostPort } from '../core/host-port.ts';
import { ADMIN_LIMITS } from '../core/limits.ts';
import { readBody } from './body.ts';
import { type Access, guard } from './guard.ts';
import { HttpError, json, problem, type Reply, send } from './reply.ts';
import { Router } from './router.ts';

export { CallRing, consoleRoutes, type HistoryPort, type Sources } from './console.ts';
export type { Access } from './guard.ts';
export { healthRoutes, type Readiness } from './health.ts';
export { HttpError, json, type Reply, text } from './reply.ts';

/** A request as a route sees it: checked, and whole. */
export interface AdminRequest {
  /** Without the query, and not decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Of a header, by its name in lower case; undefined where it is absent. */
  header(name: string): string | undefined;
  /** Empty for GET. */
  readonly body: Buffer;
  /** Who asks: IP address, and `host:port`. */
  readonly peer: { readonly host: string; readonly address: string };
  /** Aborted once the client is gone or everything was sent. */
  readonly gone: AbortSignal;
}

export interface Route {
  /** GET serves HEAD too. What is not GET changes something, and is subject to `Access.allowWrites`. */
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Exact, or with `/*` at the end for all that lies below. */
  readonly path: string;
  /** Answers under whatever name it is asked: for probes, where nothing is told that matters. */
  readonly anyHost?: boolean;
  /** What it throws is the client's to see where it is an `HttpError`, else a fault of ours. */
  readonly handle: (request: AdminRequest) => Reply | Promise<Reply>;
}

export interface AdminOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly routes: readonly Route[];
  /** Asked for every request, so that it can change at run time. */
  readonly access: () => Access;
  readonly onError: (error: unknown) => void;
}

export interface Admin {
  /** `host:port` that it listens on. */
  readonly address: string;
  close(): Promise<void>;
}

/** Starts the endpoint; rejects where the address cannot be had. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const router = new Router(options.routes);
  const server = createServer(
    { requestTimeout: ADMIN_LIMITS.requestTimeoutMs, maxHeaderSize: ADMIN_LIMITS.headerBytes },
    (request, response) => {
      void serve(request, response, router, options);
    },
  );
  server.maxConnections = ADMIN_LIMITS.connections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { address, family, port } = server.address() as AddressInfo;
  return {
    address: family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  router: Router,
  options: AdminOptions,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const reply = await answer(request, router, options, gone.signal);
    await send(reply, response, { head: request.method === 'HEAD', gone: gone.signal });
  } catch (error) {
    if (gone.signal.aborted) return;
    const known = error instanceof HttpError;
    if (!known) options.onError(error);
    // A reply that was cut off in its middle can only be seen as one that did not end.
    if (response.headersSent) response.destroy();
    else
      await send(
        known ? problem(error) : json({ error: 'a fault of the balancer: see its log' }, 500),
        response,
      );
  } finally {
    // What of a body nobody has read would be taken for the next request.
    if (!request.complete) response.once('finish', () => request.destroy());
  }
}

async function answer(
  request: IncomingMessage,
  router: Router,
  options: AdminOptions,
  gone: AbortSignal,
): Promise<Reply> {
  const { url = '', method = '', headers } = request;
  if (!url.startsWith('/')) throw new HttpError(400, 'the request names no path');
  const split = url.indexOf('?');
  const path = split < 0 ? url : url.slice(0, split);
  const route = router.find(method, path);
  guard(route, headers, options.access());
  const body = await readBody(request, ADMIN_LIMITS.bodyBytes);
  return route.handle({
    path,
    query: new URLSearchParams(split < 0 ? '' : url.slice(split + 1)),
    header: name => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body,
    peer: peerOf(request),
    gone,
  });
}

function peerOf({ socket: { remoteAddress = '', remotePort = 0 } }: IncomingMessage): AdminRequest['peer'] {
  const host = remoteAddress.replace(/^::ffff:/, '');
  return { host, address: formatHostPort(host, remotePort) };
}
