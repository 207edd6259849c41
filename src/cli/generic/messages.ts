/** The messages of a call, from `-d`. */
import { constants, createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { CliError, Exit } from '../cli.ts';
import { JsonTextError, JsonValues } from './json-values.ts';

/** gRPC servers take 4 MiB by default; base64 makes bytes a third longer. Some go far beyond. */
const LONGEST_MESSAGE = 64 * 1024 ** 2;

/**
 * @param data each JSON text, `@FILE`, or `-` for standard input; each may hold several messages.
 * @param empty what is sent where none is given: one empty message, or none.
 */
export async function* readMessages(
  data: readonly string[],
  stdin: Readable,
  empty: 'one' | 'none',
): AsyncIterable<string> {
  if (data.length === 0 && empty === 'one') yield '{}';
  for (const source of data) {
    const name = source === '-' ? 'standard input' : source.startsWith('@') ? source.slice(1) : '-d';
    const values = new JsonValues(LONGEST_MESSAGE);
    try {
      for await (const chunk of chunksOf(source, stdin)) yield* values.push(chunk);
      values.end();
    } catch (error) {
      if (error instanceof JsonTextError)
        throw new CliError(`${name}: ${error.message}`, Exit.USAGE, { cause: error });
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      throw new CliError(`cannot read ${name}: ${(error as Error).message}`, Exit.USAGE, { cause: error });
    }
  }
}

/**
 * Finds what is wrong with `-d` before a server is picked for it: text that is no JSON, a file that cannot be read.
 * Standard input and what files hold are read when the call is made.
 */
export async function checkData(data: readonly string[]): Promise<void> {
  for (const source of data) {
    if (source.startsWith('@')) {
      const file = source.slice(1);
      await access(file, constants.R_OK).catch((error: unknown) => {
        throw new CliError(`cannot read ${file}: ${(error as Error).message}`, Exit.USAGE, { cause: error });
      });
    } else if (source !== '-') {
      for await (const _ of readMessages([source], Readable.from([]), 'none'));
    }
  }
}

/** For a method that takes one message: reads all, and checks that there is one. */
export async function* exactlyOne(messages: AsyncIterable<string>, method: string): AsyncIterable<string> {
  const all: string[] = [];
  for await (const message of messages) {
    if (all.push(message) > 1) throw new CliError(`${method} takes one message; -d gives more`, Exit.USAGE);
  }
  if (all.length === 0) throw new CliError(`${method} takes one message; -d gives none`, Exit.USAGE);
  yield* all;
}

async function* chunksOf(source: string, stdin: Readable): AsyncIterable<string> {
  if (source === '-') {
    stdin.setEncoding('utf8');
    yield* stdin as AsyncIterable<string>;
  } else if (source.startsWith('@')) {
    yield* createReadStream(source.slice(1), 'utf8') as AsyncIterable<string>;
  } else {
    yield source;
  }
}
