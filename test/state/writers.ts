/** Processes that write a log until they are killed, and say what was acknowledged. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const running = new Set<ChildProcess>();

/** Ends those that a test that failed has left. */
export function endWriters(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** A writer that is started, and begins when it is told. */
export class Writer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  /**
   * @param file the program, from this folder
   * @param cache folder for its compiled modules: hundreds of starts of one program
   */
  constructor(file: string, args: readonly string[], cache: string) {
    const program = new URL(file, import.meta.url).pathname;
    this.#child = spawn(process.execPath, ['--conditions=heapmesh-source', program, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
    });
    running.add(this.#child);
    this.#child.once('exit', () => running.delete(this.#child));
    this.#child.stderr?.on('data', data => {
      this.#errors += data;
    });
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[
      Symbol.asyncIterator
    ]();
  }

  begin(): void {
    this.#child.stdin?.write('\n');
  }

  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : value;
  }

  /** Ends one that has not begun. */
  async end(): Promise<void> {
    const ended = once(this.#child, 'close');
    this.#child.stdin?.end();
    await ended;
  }

  /** Kills it, and says what it had still acknowledged. */
  async kill(): Promise<string[]> {
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    const left: string[] = [];
    for (let line = await this.line(); line !== undefined; line = await this.line()) left.push(line);
    await ended;
    return left;
  }

  get errors(): string {
    return this.#errors;
  }
}
