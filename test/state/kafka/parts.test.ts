/** The parts of the log on Kafka that need no broker: fences, the file of waiting changes, snapshots as records. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Proposal } from '../../../src/core/entries.ts';
import { snapshotDigest } from '../../../src/core/snapshot.ts';
import { encodeProposal } from '../../../src/state/codec.ts';
import { filesIn } from '../../../src/state/files.ts';
import { decodeEnvelope, encodeEnvelope } from '../../../src/state/kafka/envelope.ts';
import { Fences } from '../../../src/state/kafka/fences.ts';
import { Outbox } from '../../../src/state/kafka/outbox.ts';
import { Spool } from '../../../src/state/kafka/spool.ts';
import { claim, done, Held } from '../../core/registry-support.ts';
import { generator, SEED } from '../../support/seed.ts';
import { Disk } from '../disk.ts';

const folder = mkdtempSync(join(tmpdir(), 'heapmesh-spool-'));
after(() => rmSync(folder, { recursive: true }));
let folders = 0;
const fresh = (): string => join(folder, String(folders++));

function proposal(n: number, epoch = 1): Proposal {
  return { origin: 'lb-1', epoch, n, time: 5, cause: 'test', body: claim(`s${n}`) };
}

test('of an origin counts what is new in its latest life', () => {
  const fences = new Fences([{ origin: 'a', epoch: 2, n: 5 }]);
  const pass = (origin: string, epoch: number, n: number) => fences.pass({ origin, epoch, n });
  assert.equal(pass('a', 2, 5), 'copy');
  assert.equal(pass('a', 2, 4), 'copy');
  assert.equal(pass('a', 2, 6), 'new');
  assert.equal(pass('a', 1, 99), 'earlier-life');
  assert.equal(pass('b', 1, 1), 'new');
  assert.equal(pass('a', 3, 1), 'new');
  assert.equal(pass('a', 2, 7), 'earlier-life');
  assert.deepEqual(fences.all(), [
    { origin: 'b', epoch: 1, n: 1 },
    { origin: 'a', epoch: 3, n: 1 },
  ]);
});

test('the file of waiting changes gives back what was whole, and nothing behind a torn or damaged record', async () => {
  const at = fresh();
  const messages = [1, 2, 3].map(n => encodeProposal(proposal(n)));
  const { spool, left } = await Spool.open(filesIn(at));
  assert.deepEqual(left, []);
  await spool.add(messages.slice(0, 2));
  await spool.add(messages.slice(2));
  await spool.close();
  const file = join(at, 'spool');
  const whole = readFileSync(file);
  const reopened = async (): Promise<Buffer[]> => {
    const again = await Spool.open(filesIn(at));
    await again.spool.close();
    return again.left;
  };
  assert.deepEqual(await reopened(), messages);

  for (let cut = whole.length - 1; cut >= 0; cut -= 7) {
    writeFileSync(file, whole);
    truncateSync(file, cut);
    const got = await reopened();
    assert.deepEqual(got, messages.slice(0, got.length), `cut at ${cut}`);
    assert.ok(got.length < 3);
  }
  for (let flipped = 0; flipped < whole.length; flipped += 3) {
    const bytes = Buffer.from(whole);
    bytes[flipped] = (bytes[flipped] as number) ^ 0x10;
    writeFileSync(file, bytes);
    const got = await reopened();
    assert.ok(got.length < 3, `flipped at ${flipped}`);
    assert.deepEqual(got, messages.slice(0, got.length), `flipped at ${flipped}`);
  }
  // What is written behind a torn end is found again.
  writeFileSync(file, whole);
  appendFileSync(file, whole.subarray(8, 20));
  const torn = await Spool.open(filesIn(at));
  await torn.spool.add([messages[0] as Buffer]);
  await torn.spool.close();
  assert.deepEqual(await reopened(), [...messages, messages[0]]);
});

test('a file of waiting changes on a full disk, or one that fails, loses nothing that it took', async () => {
  const messages = [1, 2, 3].map(n => encodeProposal(proposal(n)));
  const disk = new Disk(generator());
  const { spool } = await Spool.open(disk.files());
  await spool.add(messages.slice(0, 1));
  disk.room = 20;
  await assert.rejects(spool.add(messages.slice(1, 2)), /ENOSPC/);
  disk.room = 10_000;
  await spool.add(messages.slice(2));
  const next = async () => (await Spool.open(disk.next('power cut').files())).left;
  assert.deepEqual(await next(), [messages[0], messages[2]], `seed ${SEED}`);

  disk.failSyncAfter = disk.operations;
  await assert.rejects(spool.add(messages.slice(1, 2)), /spool cannot be made durable: EIO/);
  const { syncs } = disk;
  await assert.rejects(spool.add(messages.slice(1, 2)), /spool cannot be made durable: EIO/);
  await assert.rejects(spool.clear(), /spool cannot be made durable: EIO/);
  assert.equal(disk.syncs, syncs, 'a sync that failed is not tried again');
  assert.deepEqual((await next()).slice(0, 2), [messages[0], messages[2]], `seed ${SEED}`);
});

test('a batch that was settled while it was under way takes nothing with it that was not sent', async () => {
  const { spool } = await Spool.open(filesIn(fresh()));
  const outbox = new Outbox(spool, [], () => 0);
  for (const n of [1, 2]) void outbox.add(proposal(n));
  const { keys } = outbox.batch();
  void outbox.add(proposal(3));
  outbox.settled(new Fences([{ origin: 'lb-1', epoch: 1, n: 2 }]), 'lb-1', 20);
  outbox.sent(keys);
  assert.deepEqual(outbox.batch().keys, ['1 3']);
  await spool.close();
});

test('changes are sent in their order, wait in the file where that takes long, and leave it once read back', async () => {
  const at = fresh();
  const opened = await Spool.open(filesIn(at));
  let now = 0;
  const outbox = new Outbox(opened.spool, [], () => now);
  const kept = [1, 2, 3].map(n => outbox.add(proposal(n)));
  const first = outbox.batch();
  assert.equal(first.messages.length, 3);
  await outbox.spool();
  assert.equal(outbox.inFile, 0, 'not at once');
  now = 1_000;
  await outbox.spool();
  assert.equal(outbox.inFile, 3);
  outbox.sent(first.keys);
  assert.equal(outbox.isDue, false);
  assert.equal(outbox.read(1, 1, 10), true);
  assert.equal(await kept[0], 10);
  assert.equal(outbox.read(1, 1, 11), false, 'a copy is nothing that was waited for');
  outbox.settled(new Fences([{ origin: 'lb-1', epoch: 1, n: 3 }]), 'lb-1', 20);
  assert.deepEqual(await Promise.all(kept), [10, 20, 20]);
  await outbox.spool();
  assert.equal(outbox.inFile, 0);
  assert.equal(statSync(join(at, 'spool')).size, 0);
  assert.equal(statSync(join(at, 'spool')).mode & 0o77, 0, 'nobody else reads causes and labels');

  // One that the log finds too large alone is refused; a batch goes one by one.
  const large = [4, 5].map(n => outbox.add(proposal(n)));
  outbox.tooLarge(outbox.batch().keys, new Error('too large'));
  const single = outbox.batch();
  assert.equal(single.messages.length, 1);
  outbox.tooLarge(single.keys, new Error('too large'));
  await assert.rejects(large[0] as Promise<number>, /too large/);
  assert.equal(outbox.size, 1);
  await opened.spool.close();

  // The next life says first what the file holds.
  const left = new Outbox(opened.spool, [encodeProposal(proposal(7, 3))], () => now);
  void left.add(proposal(1, 4));
  assert.equal(left.epoch, 4);
  assert.deepEqual(left.batch().keys, ['3 7', '4 1']);
});

test('a snapshot is one record, with fences and loads', async () => {
  const held = new Held('lb-1');
  await done(held, claim('a'));
  await done(held, { kind: 'join', control: 'h:1', proxy: 'h:2' });
  const snapshot = held.registry.snapshot();
  const fences = [{ origin: 'lb-1', epoch: 1, n: 2 }];
  const record = await encodeEnvelope({ position: 9, fences, loads: [Buffer.of(0x82, 1)], snapshot });
  const back = await decodeEnvelope(record);
  assert.equal(back.position, 9);
  assert.deepEqual(back.fences, fences);
  assert.deepEqual([...(back.loads[0] ?? [])], [0x82, 1]);
  assert.equal(snapshotDigest(back.snapshot), held.registry.digest());
  await assert.rejects(decodeEnvelope(Buffer.of(9, 1, 2)), /version 9.*newer instance/);
  await assert.rejects(decodeEnvelope(record.subarray(0, 40)));
});
