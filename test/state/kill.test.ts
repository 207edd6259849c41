/** Processes that are killed in the middle of writing: every change that was acknowledged is there at the next start. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { filesIn } from '../../src/state/files.ts';
import { LockedError, lockDirectory } from '../../src/state/lock.ts';
import { generator, SEED } from '../support/seed.ts';
import { digestsOf, live, numbered } from './lives.ts';
import { endWriters, Writer } from './writers.ts';

/** `make soak` asks for thousands. */
const CYCLES = Number(process.env.HEAPMESH_KILL_CYCLES ?? 200);
const LANES = 2;
/** Kills of a lane between two lines of a long run. */
const TOLD_EACH = 250;

function writer(directory: string, seed: number, cache: string): Writer {
  return new Writer('writer.ts', [directory, String(seed)], cache);
}

test(`${CYCLES} times killed while writing: nothing acknowledged is lost, nothing is invented, all in order`, {
  timeout: 60_000 + CYCLES * 5_000,
}, async () => {
  const random = generator();
  const root = await mkdtemp(join(tmpdir(), 'heapmesh-kill-'));
  // One that ends by itself leaves its compiled modules to all that are killed: they start in a third of the time.
  await writer(join(root, 'unused'), 0, join(root, 'cache')).end();
  let acknowledgedInAll = 0;
  const lane = async (lane: number): Promise<void> => {
    const directory = join(root, `lane-${lane}`);
    const cache = join(root, 'cache');
    let acknowledged = 0;
    const list = Array.from({ length: 500 }, (_, i) => numbered(i + 1));
    let digests = digestsOf(list);
    let next = writer(directory, lane, cache);
    for (let cycle = 0; cycle < CYCLES / LANES; cycle++) {
      const now = next;
      now.begin();
      const found = await now.line();
      const where = `seed ${SEED}, lane ${lane}, cycle ${cycle}: ${found} ${now.errors}`;
      const [, position, digest] = /^found (\d+) (\w+)$/.exec(found ?? '') ?? assert.fail(where);
      assert(Number(position) >= acknowledged, `${where}, but ${acknowledged} were acknowledged`);
      while (digests.length <= Number(position)) {
        for (let i = 0; i < 500; i++) list.push(numbered(list.length + 1));
        digests = digestsOf(list);
      }
      assert.equal(digest, digests[Number(position)], `${where}: the facts are not those of its changes`);
      acknowledged = Number(position);
      // The next one starts up meanwhile.
      next = writer(directory, cycle * LANES + lane, cache);
      const stopAt = acknowledged + Math.floor(random() * 12);
      while (acknowledged < stopAt) {
        const line = await now.line();
        assert.equal(Number(line), acknowledged + 1, `${where}: acknowledged in order (${now.errors})`);
        acknowledged++;
      }
      await sleep(random() * 3);
      for (const line of await now.kill()) acknowledged = Math.max(acknowledged, Number(line));
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
    endWriters();
    await rm(root, { recursive: true, force: true });
  }
  console.log(`# ${CYCLES} kills, ${acknowledgedInAll} acknowledged changes, none lost`);
});

test('two writers: the second is told whose the directory is, and a killed holder holds nothing', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'heapmesh-lock-'));
  const files = filesIn(directory);
  const lock = (): ReturnType<typeof lockDirectory> => lockDirectory(files, Math.random, () => {});
  try {
    const holder = writer(directory, 1, join(directory, 'cache'));
    holder.begin();
    assert.match((await holder.line()) ?? '', /^found 0/);
    await assert.rejects(lock(), (error: Error) => {
      assert(error instanceof LockedError);
      assert.match(error.message, /is in use by process \d+: one instance a directory/);
      return true;
    });
    await holder.kill();
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
