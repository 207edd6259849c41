/** A bar on the terminal while simulations run; nothing where the output of errors is none. */
import type { Io } from '../cli.ts';
import { paintFor } from '../render/style.ts';

const WIDTH = 30;
const CLEAR_LINE = '\r\x1b[K';

export interface Progress {
  step(done: string): void;
  end(): void;
}

export function progressOf(io: Io, runs: number): Progress {
  if (io.stderr.isTTY !== true) return { step: () => {}, end: () => {} };
  const paint = paintFor(io.stderr, io.env);
  let done = 0;
  const draw = (what: string): void => {
    const filled = Math.round((WIDTH * done) / runs);
    const bar = paint('cyan', '█'.repeat(filled)) + paint('dim', '░'.repeat(WIDTH - filled));
    const room = Math.max(0, (io.stderr.columns ?? 80) - WIDTH - 16);
    io.stderr.write(`${CLEAR_LINE}${bar} ${done}/${runs}  ${what.slice(0, room)}`);
  };
  draw('');
  return {
    step(what) {
      done++;
      draw(what);
    },
    end() {
      io.stderr.write(CLEAR_LINE);
    },
  };
}
