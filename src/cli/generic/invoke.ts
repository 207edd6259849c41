/** A call of any of the four kinds, with messages as JSON. */

import type { JsonValue } from '@bufbuild/protobuf';
import { fromBinary, fromJsonString, toBinary, toJson } from '@bufbuild/protobuf';
import { type Client, status as GrpcStatus, type Metadata, type StatusObject } from '@grpc/grpc-js';
import { CliError, Exit } from '../cli.ts';
import type { MethodTypes } from './types.ts';

export interface Invocation {
  readonly types: MethodTypes;
  readonly metadata: Metadata;
  /** Absolute; undefined is none. */
  readonly deadline: Date | undefined;
  /** JSON objects, in order. */
  readonly messages: AsyncIterable<string>;
  /** Emit fields that have their default value. */
  readonly emitDefaults: boolean;
  onHeader(metadata: Metadata): void;
  /** Each answer, as it comes. */
  onAnswer(answer: JsonValue): void;
  /** Ends the call before its time. */
  readonly signal: AbortSignal;
}

export interface Result {
  readonly status: StatusObject;
  /** From the first message written, or the end of the request, to the status. */
  readonly latencyMs: number;
}

/**
 * Makes the call. On the wire the four kinds differ only in how many messages may come, so that one
 * way of calling does for all. A status other than OK is a result, not an error.
 *
 * @throws CliError where a message is not what the method takes; the call is cancelled then.
 */
export async function invoke(client: Client, path: string, invocation: Invocation): Promise<Result> {
  const { types, signal } = invocation;
  const { method, registry } = types;
  const call = client.makeBidiStreamRequest(
    path,
    (bytes: Uint8Array) => Buffer.from(bytes),
    (bytes: Buffer) => fromBinary(method.output, bytes),
    invocation.metadata,
    invocation.deadline === undefined ? {} : { deadline: invocation.deadline },
  );
  const start = performance.now();
  const abort = () => call.cancel();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  let answers = 0;
  const ended = new Promise<StatusObject>(resolve => {
    call.on('metadata', received => invocation.onHeader(received));
    call.on('data', message => {
      answers++;
      const options = { registry, alwaysEmitImplicit: invocation.emitDefaults };
      invocation.onAnswer(toJson(method.output, message, options));
    });
    // The status says the same.
    call.on('error', () => {});
    call.on('status', resolve);
  });
  let over = false;
  const status = ended.then(result => {
    over = true;
    return result;
  });
  try {
    await Promise.race([status, write()]);
  } catch (error) {
    call.cancel();
    await status;
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
  const result = await status;
  if (result.code === GrpcStatus.OK && answers !== 1 && !isStreaming(method.methodKind)) {
    throw new CliError(`the server sent ${answers} answers; ${method.name} has one`, Exit.FAILURE);
  }
  return { status: result, latencyMs: performance.now() - start };

  async function write(): Promise<void> {
    let count = 0;
    for await (const text of invocation.messages) {
      if (over) return;
      count++;
      const message = parse(text, count);
      if (call.write(toBinary(method.input, message))) continue;
      await Promise.race([new Promise(resolve => call.once('drain', resolve)), status]);
    }
    call.end();
    await status;
  }

  function parse(text: string, count: number) {
    try {
      return fromJsonString(method.input, text, { registry });
    } catch (error) {
      const why = (error as Error).message;
      throw new CliError(`message ${count} is no ${method.input.typeName}: ${why}`, Exit.USAGE, {
        cause: error,
      });
    }
  }
}

function isStreaming(kind: string): boolean {
  return kind === 'server_streaming' || kind === 'bidi_streaming';
}
