/** Processes that are killed in the middle of writing: every change that was acknowledged is there at the next start. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { filesIn } from '../../src/state/files.ts';
import { LockedError, lockDirectory } from '../../src/state/lock.ts';
import { generator, SEED } from '../support/seed.ts';
import { digestsOf, live, numbered } from './lives.ts';

/** `make soak` asks for thousands. */
const CYCLES = Number(process.env.HEAPMESH_KILL_CYCLES ?? 200);
const LANES = 2;
/** Kills of a lane between two lines of a long run. */
const TOLD_EACH = 250;

/** A writer that is started, and begins when it is told. */
class Writer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  constructor(directory: string, seed: number, cache: string) {
    const writer = new URL('writer.ts', import.meta.url).pathname;
    this.#child = spawn(process.execPath, ['--conditions=heapmesh-source', writer, directory, String(seed)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // Hundreds of starts of one program.
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
    });
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

test(`${CYCLES} times killed while writing: nothing acknowledged is lost, nothing is invented, all in order`, {
  timeout: 60_000 + CYCLES * 5_000,
}, async () => {
  const random = generator();
  const root = await mkdtemp(join(tmpdir(), 'heapmesh-kill-'));
  // One that ends by itself leaves its compiled modules to all that are killed: they start in a third of the time.
  await new Writer(join(root, 'unused'), 0, join(root, 'cache')).end();
  let acknowledgedInAll = 0;
  const lane = async (lane: number): Promise<void> => {
    const directory = join(root, `lane-${lane}`);
    const cache = join(root, 'cache');
    let acknowledged = 0;
    const list = Array.from({ length: 500 }, (_, i) => numbered(i + 1));
    let digests = digestsOf(list);
    let next = new Writer(directory, lane, cache);
    for (let cycle = 0; cycle < CYCLES / LANES; cycle++) {
      const writer = next;
      writer.begin();
      const found = await writer.line();
      const where = `seed ${SEED}, lane ${lane}, cycle ${cycle}: ${found} ${writer.errors}`;
      const [, position, digest] = /^found (\d+) (\w+)$/.exec(found ?? '') ?? assert.fail(where);
      assert(Number(position) >= acknowledged, `${where}, but ${acknowledged} were acknowledged`);
      while (digests.length <= Number(position)) {
        for (let i = 0; i < 500; i++) list.push(numbered(list.length + 1));
        digests = digestsOf(list);
      }
      assert.equal(digest, digests[Number(position)], `${where}: the facts are not those of its changes`);
      acknowledged = Number(position);
      // The next one starts up meanwhile.
      next = new Writer(directory, cycle * LANES + lane, cache);
      const stopAt = acknowledged + Math.floor(random() * 12);
      while (acknowledged < stopAt) {
        const line = await writer.line();
        assert.equal(Number(line), acknowledged + 1, `${where}: acknowledged in order (${writer.errors})`);
        acknowledged++;
      }
      await sleep(random() * 3);
      for (const line of await writer.kill()) acknowledged = Math.max(acknowledged, Number(line));
      // A soak takes long: what it came to so far is said.
      if ((cycle + 1) % TOLD_EACH === 0) {
        console.log(`# lane ${lane}: ${cycle + 1} kills, ${acknowledged} acknowledged changes, none lost`);
      }
    }
    await next.kill();
    acknowledgedInAll += acknowledged;
    // However soon the others died, one that has the time for a snapshot leaves few files.
    const life = await live(filesIn(directory));
    assert(life.registry.position >= acknowledged);
    await life.log.snapshot();
    await life.close();
    const names = (await readdir(directory)).filter(name => !name.endsWith('.broken'));
    assert(names.length <= 4, `${CYCLES / LANES} lives left ${names}`);
  };
  try {
    await Promise.all(Array.from({ length: LANES }, (_, i) => lane(i)));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  console.log(`# ${CYCLES} kills, ${acknowledgedInAll} acknowledged changes, none lost`);
});

test('two writers: the second is told whose the directory is, and a killed holder holds nothing', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'heapmesh-lock-'));
  const files = filesIn(directory);
  const lock = (): ReturnType<typeof lockDirectory> => lockDirectory(files, Math.random, () => {});
  try {
    const writer = new Writer(directory, 1, join(directory, 'cache'));
    writer.begin();
    assert.match((await writer.line()) ?? '', /^found 0/);
    await assert.rejects(lock(), (error: Error) => {
      assert(error instanceof LockedError);
      assert.match(error.message, /is in use by process \d+: one instance a directory/);
      return true;
    });
    await writer.kill();
    const held = await lock();
    await assert.rejects(lock(), LockedError);
    await held.release();
    // All at once: at most one gets it.
    for (let round = 0; round < 10; round++) {
      const all = await Promise.allSettled(Array.from({ length: 4 }, lock));
      const got = all.filter(one => one.status === 'fulfilled');
      assert(got.length <= 1, `${got.length} hold it`);
      for (const one of got) await one.value.release();
    }
    assert.deepEqual(
      (await readdir(directory)).filter(name => name.endsWith('.sock')),
      [],
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('a long path, too', async () => {
  const root = await mkdtemp(join(tmpdir(), 'heapmesh-long-'));
  const files = filesIn(join(root, 'd'.repeat(120)));
  await files.make();
  try {
    const held = await lockDirectory(files, Math.random, () => {});
    await assert.rejects(
      lockDirectory(files, Math.random, () => {}),
      LockedError,
    );
    await held.release();
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
