/** What a route gives back, and how it goes out. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

export interface Reply {
  /** Default 200. */
  readonly status?: number;
  /** The content type. */
  readonly type: string;
  /**
   * Parts of an iterable are asked for one by one, as the client takes them, so that a slow client
   * makes nothing pile up here. It is ended by `return()` where the client goes away.
   */
  readonly body: string | Uint8Array | AsyncIterable<string | Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Ends a request with a status and a text for who asked. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

export function json(body: unknown, status = 200): Reply {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` };
}

export function text(body: string, status = 200): Reply {
  return { status, type: 'text/plain; charset=utf-8', body };
}

export function problem(error: HttpError): Reply {
  return { ...json({ error: error.message }, error.status), headers: error.headers };
}

/**
 * Of every reply. Nothing inline and nothing from elsewhere runs in a page of ours, no other site shows
 * one in a frame (clickjacking), loads one as its script or image, or keeps a hand on its window.
 */
const SECURITY: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

export interface Sending {
  /** Headers alone. */
  readonly head: boolean;
  readonly gone: AbortSignal;
}

/** Resolves once all is handed over, or the client is gone. Rejects with what the body throws. */
export async function send(reply: Reply, response: ServerResponse, sending?: Sending): Promise<void> {
  const { status = 200, type, body, headers = {} } = reply;
  const all = { 'cache-control': 'no-store', ...SECURITY, 'content-type': type, ...headers };
  const whole = typeof body === 'string' || body instanceof Uint8Array;
  const length = whole ? { 'content-length': Buffer.byteLength(body) } : {};
  response.writeHead(status, { ...all, ...length });
  if (sending?.head === true) {
    response.end();
    if (!whole) await body[Symbol.asyncIterator]().return?.();
    return;
  }
  if (whole) {
    response.end(body);
    return;
  }
  // Who waits for the first part shall know already that there is an answer.
  response.flushHeaders();
  for await (const part of body) {
    if (sending?.gone.aborted === true) return;
    if (response.write(part)) continue;
    // Ends with the client too: a destroyed response never drains.
    await once(response, 'drain', sending === undefined ? {} : { signal: sending.gone });
  }
  response.end();
}
