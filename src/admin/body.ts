/** The body of a request, whole and bounded. */
import type { IncomingMessage } from 'node:http';
import { HttpError } from './reply.ts';

/** @throws HttpError 413 where it is longer than `most`. */
export async function readBody(request: IncomingMessage, most: number): Promise<Buffer> {
  const tooLong = () => new HttpError(413, `the body is longer than ${most} bytes`, { connection: 'close' });
  if (Number(request.headers['content-length'] ?? 0) > most) throw tooLong();
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > most) throw tooLong();
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}
