/** Runs one command line and turns what comes of it into an exit code. */
import { CommanderError } from 'commander';
import { CliError, Exit, type Io, QuietExit } from './cli.ts';
import { buildProgram } from './program.ts';
import { clean, paintFor } from './render/style.ts';

/** @param args without the names of the interpreter and the script. */
export async function run(args: readonly string[], io: Io): Promise<Exit> {
  const program = buildProgram(io);
  if (args.length === 0) {
    program.outputHelp({ error: true });
    return Exit.USAGE;
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return Exit.FINE;
  } catch (error) {
    if (error instanceof QuietExit) return error.exit;
    // Commander has printed its own; help and version that were asked for are no failure.
    if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.FINE : Exit.USAGE;
    const known = error instanceof CliError;
    const message = known
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
    const text = known ? clean(message) : message;
    io.stderr.write(`${paintFor(io.stderr, io.env)('red', 'error')}: ${text}\n`);
    return known ? error.exit : Exit.FAILURE;
  }
}
