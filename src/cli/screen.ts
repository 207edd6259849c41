/** A full-screen view on a terminal: the alternate screen, redrawn in place, put back in any case. */
import type { Io } from './cli.ts';

// xterm control sequences (ctlseqs): alternate screen, cursor, wrapping of lines, erase. A line that is too
// long is cut at the edge: wrapped, it would push the first line out of the screen.
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const ERASE_LINE_END = '\x1b[K';
const ERASE_BELOW = '\x1b[J';

export interface FullScreen {
  readonly columns: number;
  readonly rows: number;
  /** Replaces what is shown; lines that do not fit are left out. */
  draw(text: string): void;
  /** Aborted when the user wants to leave: `q`, Ctrl-C, SIGINT, SIGTERM, SIGHUP. */
  readonly left: AbortSignal;
  close(): void;
}

/**
 * @param onResize is called after the terminal changed its size.
 * @param onOther is given every key that does not leave.
 */
export function openScreen(
  io: Io,
  onResize: () => void,
  onOther: (key: string) => void = () => {},
): FullScreen {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  const onKey = (key: Buffer) => {
    const text = key.toString('latin1');
    // Arrows and the like are one key of several characters, which none of ours is.
    if (text.startsWith('\x1b')) return;
    // Keys that were pressed while the process was busy come together.
    for (const each of text) {
      // In raw mode Ctrl-C and Ctrl-D come as bytes, not as signals.
      if (each === 'q' || each === 'Q' || each === '\x03' || each === '\x04') return leave();
      onOther(each);
    }
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, leave);
  const hasKeys = io.stdin.isTTY === true;
  if (hasKeys) {
    io.stdin.setRawMode?.(true);
    io.stdin.on('data', onKey);
    io.stdin.resume();
  }
  io.stdout.on('resize', onResize);
  io.stdout.write(ENTER);
  let open = true;
  // A crash in the middle: what it says on stderr must be seen, and the shell find its terminal as it was.
  const onExit = () => {
    if (open) io.stdout.write(LEAVE);
    open = false;
  };
  process.once('exit', onExit);
  process.once('uncaughtExceptionMonitor', onExit);
  return {
    get columns() {
      // A terminal that was never given a size says 0.
      return io.stdout.columns || 80;
    },
    get rows() {
      return io.stdout.rows || 24;
    },
    draw(text) {
      const lines = text.split('\n').slice(0, this.rows);
      // Overwriting in place flickers less than erasing first.
      io.stdout.write(HOME + lines.map(line => line + ERASE_LINE_END).join('\r\n') + ERASE_BELOW);
    },
    left: leaving.signal,
    close() {
      if (!open) return;
      open = false;
      process.off('exit', onExit);
      process.off('uncaughtExceptionMonitor', onExit);
      io.stdout.write(LEAVE);
      io.stdout.off('resize', onResize);
      if (hasKeys) {
        io.stdin.off('data', onKey);
        io.stdin.setRawMode?.(false);
        io.stdin.pause();
      }
      for (const signal of signals) process.off(signal, leave);
    },
  };
}
