/** What every command of `heapmesh` works with and agrees on. */
import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';

/** 0 fine, 1 failure, 2 usage or configuration. */
export const Exit = { FINE: 0, FAILURE: 1, USAGE: 2 } as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

/** A stream that may be a terminal. */
export type Output = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** The process as a command sees it. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Adds one command, with its help, to the program. Each file in `commands/` exports one as `register`. */
export type Register = (program: Command, io: Io) => void;

/** Ends a command with one line on stderr: what was wrong and what to do. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exit: Exit;

  constructor(message: string, exit: Exit = Exit.FAILURE, options?: ErrorOptions) {
    super(message, options);
    this.exit = exit;
  }
}

/** Ends a command that has already said all there is to say. */
export class QuietExit extends Error {
  override readonly name = 'QuietExit';
  readonly exit: Exit;

  constructor(exit: Exit) {
    super(`exit ${exit}`);
    this.exit = exit;
  }
}
