/**
 * The threads on which V8 collects the old generation and compiles: as many as there are cores beside the main
 * thread's, four at most. V8 makes four wherever it runs. Where they share one core with the main thread, they take
 * four fifths of it for as long as they mark, and calls wait for half a second. How many they are is settled before a
 * program is loaded, and so `serve` begins once more in its place, with the same process id.
 *
 * `execve` is what the operating system calls it, and what Node does by that name is experimental; without it all is as
 * Node has it.
 */
import { accessSync, constants } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isChosen } from './chosen-flags.ts';

/** As many as Node makes. */
const MOST = 4;

/** Whoever starts the process may have chosen a number. */
const hasNumber = isChosen(/v8[-_]pool[-_]size/);
const threads = Math.min(MOST, Math.max(1, availableParallelism() - 1));
// A parent that is spoken to by IPC would lose its channel.
if (process.argv[2] === 'serve' && !hasNumber && threads < MOST && process.channel === undefined) beginAnew();

function beginAnew(): void {
  if (process.execve === undefined) return;
  try {
    // Where it fails it ends the process, and so what can be known before is.
    accessSync(process.execPath, constants.X_OK);
  } catch {
    return;
  }
  const args = [process.argv0, `--v8-pool-size=${threads}`, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, args, { ...process.env });
}
