/** The log in files, on a disk that fails as disks do: what was acknowledged is there, in order, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Proposal } from '../../src/core/entries.ts';
import { verify } from '../../src/state/inspect.ts';
import { DamageError } from '../../src/state/recovery.ts';
import { cases, generator, SEED } from '../support/seed.ts';
import { Disk } from './disk.ts';
import { digestsOf, type Life, live, numbered } from './lives.ts';

test('changes of one turn share a sync, reach followers before they resolve, and are there after a restart', async () => {
  const disk = new Disk(generator());
  const life = await live(disk.files());
  const before = disk.syncs;
  const order: string[] = [];
  life.log.follow(0, entry => order.push(`entry ${entry.position}`));
  const all = [1, 2, 3].map(async n => {
    order.push(`resolved ${await life.log.append(numbered(n))}`);
  });
  assert.equal(life.log.last, 0, 'nothing is handed out before it is durable');
  await Promise.all(all);
  assert.equal(disk.syncs - before, 1);
  assert.deepEqual(order, ['entry 1', 'entry 2', 'entry 3', 'resolved 1', 'resolved 2', 'resolved 3']);
  assert.equal(life.log.status().durable, 3);
  await life.close();
  await assert.rejects(life.log.append(numbered(4)), /closed/);

  const next = await live(disk.next('power cut').files());
  assert.equal(next.registry.position, 3);
  assert.equal(next.registry.digest(), digestsOf([1, 2, 3].map(n => numbered(n)))[3]);
  assert(next.epoch > life.epoch);
  await next.close();
});

/** What a run has done so far, over all lives. */
interface Run {
  list: Proposal[];
  /** So many of the list were acknowledged, or are known to be in the facts that were recovered. */
  acknowledged: number;
}

async function appendSome(life: Life, disk: Disk, run: Run, random: () => number): Promise<void> {
  const count = Math.floor(random() * 40);
  const open: Promise<unknown>[] = [];
  for (let i = 0; i < count && !disk.stopped; i++) {
    const proposal = numbered(run.list.length + 1);
    run.list.push(proposal);
    const place = run.list.length;
    open.push(
      life.log.append(proposal).then(
        position => {
          assert.equal(position, place);
          run.acknowledged = Math.max(run.acknowledged, position);
        },
        () => {},
      ),
    );
    if (random() < 0.1) {
      life.log.noteLoads({ origin: 'lb-1', epoch: 1, time: i, rows: [] });
    }
    if (random() < 0.05) void life.log.snapshot();
    if (random() < 0.3) await turn();
    if (random() < 0.1) life.later();
    if (random() < 0.02) disk.room = random() < 0.5 ? 0 : Math.floor(random() * 300);
    if (random() < 0.1) disk.room = Number.POSITIVE_INFINITY;
  }
  // A process that was stopped never answers.
  await unlessStopped(disk, Promise.all(open));
}

test('by seed: killed, without power, with failing syncs and full disks, life after life', async () => {
  const random = generator();
  let livesInAll = 0;
  let powerCuts = 0;
  let acknowledgedInAll = 0;
  for (let round = 0; round < cases(150); round++) {
    let disk = new Disk(random);
    const run: Run = { list: [], acknowledged: 0 };
    const lives = 1 + Math.floor(random() * 6);
    for (let lifetime = 0; lifetime < lives; lifetime++) {
      const ends = random() < 0.8;
      if (ends) disk.stopAfter = Math.floor(random() * 250);
      if (random() < 0.2) disk.failSyncAfter = Math.floor(random() * 100);
      const where = `seed ${SEED}, round ${round}, life ${lifetime}`;
      const opening = live(disk.files(), {
        fileOctets: 2000,
        historyOctets: random() < 0.5 ? 0 : 4000,
      }).catch((error: Error) => error);
      let life: Life | Error | undefined;
      while (life === undefined && !disk.stopped) {
        life = await Promise.race([opening, turn(undefined)]);
      }
      if (life instanceof Error) {
        assert.match(life.message, /EIO|ENOSPC/, `${where}: ${life.stack}`);
      } else if (life !== undefined) {
        const digests = digestsOf(run.list);
        const found = life.registry.position;
        assert(found >= run.acknowledged, `${where}: ${run.acknowledged} acknowledged, ${found} recovered`);
        assert(found <= run.list.length, `${where}: ${found} recovered of ${run.list.length}`);
        assert.equal(
          life.registry.digest(),
          digests[found],
          `${where}: other facts than of the first ${found}`,
        );
        run.list.length = found;
        run.acknowledged = found;
        await appendSome(life, disk, run, random);
        acknowledgedInAll += run.acknowledged - found;
        if (random() < 0.5) await unlessStopped(disk, life.close());
      }
      const isKill = random() < 0.5;
      livesInAll++;
      if (!isKill) powerCuts++;
      disk = disk.next(isKill ? 'kill' : 'power cut');
    }
  }
  console.log(
    `# ${livesInAll} lives, ${powerCuts} of them ended by a power cut, ${acknowledgedInAll} acknowledged changes, none lost`,
  );
});

/** Waits as long as the process runs. */
async function unlessStopped(disk: Disk, work: Promise<unknown>): Promise<void> {
  const done = work.then(() => true);
  while (!disk.stopped && (await Promise.race([done, turn(false)])) !== true);
}

test('a sync that failed is not tried again: nothing is acknowledged, entries go on from memory', async () => {
  const disk = new Disk(generator());
  const life = await live(disk.files());
  await life.log.append(numbered(1));
  const states: string[] = [];
  life.log.onStatus(({ state }) => states.push(state));
  disk.failSyncAfter = 0;
  const kept: (string | undefined)[] = [];
  life.log.follow(1, (_, notKept) => kept.push(notKept));
  await assert.rejects(life.log.append(numbered(2)), /a sync of the log in disk failed .*EIO/);
  const { syncs } = disk;
  await assert.rejects(life.log.append(numbered(3)), /restart this instance/);
  life.later();
  await turn();
  assert.equal(disk.syncs, syncs, 'it was not tried again');
  assert.equal(kept.length, 2);
  assert(kept.every(why => why?.includes('failed')));
  assert.deepEqual(states, ['read-only']);
  assert.equal(life.log.status().state, 'read-only');
  assert.equal(life.registry.position, 3, 'the instance goes on');
  await life.close();
  const next = await live(disk.next('kill').files());
  assert(next.registry.position >= 1 && next.registry.position <= 2);
  await next.close();
});

test('a full disk: not kept until there is room, and then with all that came meanwhile', async () => {
  const disk = new Disk(generator());
  const life = await live(disk.files());
  await life.log.append(numbered(1));
  disk.room = 20;
  await assert.rejects(life.log.append(numbered(2)), /the disk of disk is full/);
  await assert.rejects(life.log.append(numbered(3)), /full/);
  life.later();
  for (let i = 0; i < 50; i++) await turn();
  assert.equal(life.log.status().state, 'read-only', 'there is no room yet');
  disk.room = Number.POSITIVE_INFINITY;
  life.later();
  assert.equal(await life.log.append(numbered(4)), 4, 'it waited for the log to be written again');
  assert.equal(life.log.status().state, 'healthy');
  assert.equal(life.log.status().durable, 4);
  const left = disk.next('power cut');
  const next = await live(left.files());
  assert.equal(next.registry.digest(), digestsOf([1, 2, 3, 4].map(n => numbered(n)))[4]);
  await next.close();
  await life.close();
  const reports = await verify(left.files());
  assert.deepEqual(
    reports.map(({ fault }) => fault).filter(fault => fault !== ''),
    [],
    'what goes on from a snapshot is no damage',
  );
});

test('changes of which the disk had room for some: none of them was kept, and none comes back', async () => {
  const disk = new Disk(generator());
  const life = await live(disk.files());
  await life.log.append(numbered(1));
  // The first two of three fit, and a part of the third.
  disk.room = 2 * 100 + 50;
  const all = await Promise.allSettled([2, 3, 4].map(n => life.log.append(numbered(n))));
  assert.deepEqual(
    all.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
  assert.equal(life.registry.position, 4, 'this process goes on with them');
  const left = disk.next('kill');
  left.room = Number.POSITIVE_INFINITY;
  const next = await live(left.files());
  assert.equal(next.registry.position, 1);
  assert.equal(next.registry.digest(), digestsOf([numbered(1)])[1]);
  await next.close();
});

/** A closed log of two files and a snapshot between, and the facts of each number of its entries. */
async function smallLog(): Promise<{ disk: Disk; digests: string[]; entries: number }> {
  const disk = new Disk(generator());
  const entries = 12;
  let life = await live(disk.files(), { historyOctets: 1e9 });
  for (let n = 1; n <= 3; n++) await life.log.append(numbered(n));
  await life.log.snapshot();
  for (let n = 4; n <= 8; n++) await life.log.append(numbered(n));
  await life.close();
  life = await live(disk.files(), { historyOctets: 1e9 });
  for (let n = 9; n <= entries; n++) await life.log.append(numbered(n));
  await life.close();
  return { disk, entries, digests: digestsOf(Array.from({ length: entries }, (_, i) => numbered(i + 1))) };
}

test('every octet of a small log, flipped: damage is told with file and place, and never taken for a torn end', async () => {
  const { disk, digests, entries } = await smallLog();
  const random = generator();
  for (const name of disk.names()) {
    const whole = disk.contents(name);
    const isNewest = name === disk.names().findLast(one => one.endsWith('.log'));
    for (let at = 0; at < whole.length; at++) {
      const changed = disk.copy();
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
      changed.put(name, bytes);
      const life = await live(changed.files()).catch((error: Error) => error);
      if (life instanceof Error) {
        assert(life instanceof DamageError, `${name} at ${at}: ${life.stack}`);
        assert.equal(life.file, `disk/${name}`);
        assert(life.offset <= at, `${name}: damaged at ${at}, told ${life.offset}`);
        assert.match(life.message, /heapmesh log repair disk/);
        continue;
      }
      // Only what stands behind all entries, the end mark, may look torn.
      assert(isNewest, `${name} at ${at} was taken`);
      assert.equal(life.registry.position, entries, `${name} at ${at}`);
      assert.equal(life.registry.digest(), digests[entries]);
      await life.close();
    }
  }
});

test('a small log, cut at every octet: a beginning of its entries, kept what was cut, or a refusal', async () => {
  const { disk, digests } = await smallLog();
  const [first, last] = disk.names().filter(name => name.endsWith('.log')) as [string, string];
  for (const name of [first, last]) {
    const whole = disk.contents(name);
    for (let size = 0; size < whole.length; size++) {
      const changed = disk.copy();
      changed.put(name, whole.subarray(0, size));
      const life = await live(changed.files()).catch((error: Error) => error);
      if (life instanceof Error) {
        assert(life instanceof DamageError, `${name} at ${size}: ${life.stack}`);
        assert.equal(name, first, 'the last file may be cut anywhere');
        continue;
      }
      assert.equal(name, last);
      const { position } = life.registry;
      assert.equal(life.registry.digest(), digests[position]);
      assert(position >= 8);
      // What a crash leaves is taken up again.
      assert.equal(await life.log.append(numbered(position + 1)), position + 1);
      await life.close();
      const next = await live(changed.files());
      assert.equal(next.registry.digest(), digestsOf(list(position + 1))[position + 1]);
      await next.close();
    }
  }
});

const list = (length: number): Proposal[] => Array.from({ length }, (_, i) => numbered(i + 1));

test('a file too few, and a snapshot too few, are damage', async () => {
  const { disk } = await smallLog();
  const logs = disk.names().filter(name => name.endsWith('.log'));
  const without = disk.copy();
  await without.files().remove(logs[0] as string);
  await assert.rejects(live(without.files()), /the entries from 4 to 8 are missing/);
});

test('old files go once a snapshot has what is in them, and not before', async () => {
  const disk = new Disk(generator());
  const life = await live(disk.files(), { fileOctets: 600, historyOctets: 1500 });
  for (let n = 1; n <= 200; n++) await life.log.append(numbered(n));
  await life.log.snapshot();
  const names = disk.names();
  const octets = names.filter(name => name.endsWith('.log')).map(name => disk.contents(name).length);
  assert(octets.reduce((a, b) => a + b) < 1500 + 2 * 800, `${octets}`);
  assert(octets.length > 1, 'history is kept');
  await life.close();
  const next = await live(disk.files());
  assert.equal(next.registry.digest(), digestsOf(list(200))[200]);
  assert.equal(next.registry.position, 200);
  await next.close();
});

test('the instance has another name: what the old one claimed is its own', async () => {
  const disk = new Disk(generator());
  const life = await live(disk.files());
  for (let n = 1; n <= 7; n++) await life.log.append(numbered(n));
  await life.close();
  for (let i = 0; i < 2; i++) {
    const renamed = await live(disk.files(), { origin: 'lb-9' });
    const { records } = renamed.recovered.snapshot;
    assert.equal(records.length, 7);
    assert(records.every(record => record.claims.every(claim => claim.origin === 'lb-9')));
    await renamed.close();
  }
});

test('--ignore-state begins with nothing and puts aside what there is', async () => {
  const { disk } = await smallLog();
  const before = disk.names().length;
  const life = await live(disk.files(), { ignoreState: true });
  assert.equal(life.registry.position, 0);
  assert.equal(disk.names().filter(name => name.endsWith('.ignored')).length, before);
  assert(life.notes.some(note => note.includes('begins with nothing')));
  await life.log.append(numbered(1));
  await life.close();
  const next = await live(disk.files());
  assert.equal(next.registry.position, 1);
  await next.close();
});
