/** Runs command lines in this process, with streams that are looked at. */
import { Readable, Writable } from 'node:stream';
import type { Io } from '../../src/cli/cli.ts';
import { run } from '../../src/cli/run.ts';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk;
    done();
  }
}

export async function heapmesh(
  args: readonly string[],
  options: { stdin?: string; env?: Io['env'] } = {},
): Promise<Ran> {
  const stdout = new Sink();
  const stderr = new Sink();
  const stdin = Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)], {
    objectMode: false,
  });
  const code = await run(args, { stdin, stdout, stderr, env: options.env ?? {} });
  return { code, stdout: stdout.text, stderr: stderr.text };
}
