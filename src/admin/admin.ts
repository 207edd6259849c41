/**
 * The admin HTTP endpoint: `/healthz` (the process is up) and `/readyz` (it will take calls, and why not).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ADMIN_LIMITS } from '../core/limits.ts';

export interface Readiness {
  readonly ready: boolean;
  /** What it consists of, for people and programs. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface AdminOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly readiness: () => Readiness;
}

export interface Admin {
  /** `host:port` that it listens on. */
  readonly address: string;
  close(): Promise<void>;
}

/** Starts the endpoint; rejects where the address cannot be had. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const server = createServer(
    { requestTimeout: ADMIN_LIMITS.requestTimeoutMs, maxHeaderSize: ADMIN_LIMITS.headerBytes },
    (request, response) => answer(request, response, options),
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

function answer(request: IncomingMessage, response: ServerResponse, options: AdminOptions): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(request, response, 405, { error: `method ${request.method} is not supported: use GET` });
    return;
  }
  const path = (request.url ?? '/').split('?', 1)[0];
  if (path === '/healthz') {
    send(request, response, 200, { status: 'up' });
  } else if (path === '/readyz') {
    const { ready, detail } = options.readiness();
    send(request, response, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', ...detail });
  } else {
    send(request, response, 404, { error: `no such page: there are /healthz and /readyz` });
  }
}

function send(request: IncomingMessage, response: ServerResponse, status: number, body: object): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  response.end(request.method === 'HEAD' ? undefined : `${JSON.stringify(body)}\n`);
}
