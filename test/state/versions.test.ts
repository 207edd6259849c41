/** What a newer version wrote, read by this one: one step back must always be possible. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeProposal } from '../../src/state/codec.ts';
import { crc32c } from '../../src/state/crc32c.ts';
import { filesIn } from '../../src/state/files.ts';
import { encodeHead, logName, RecordWriter } from '../../src/state/format.ts';
import { generator } from '../support/seed.ts';
import { Disk } from './disk.ts';
import { live, numbered } from './lives.ts';

const HEAD = {
  kind: 'entries',
  sequence: 1,
  first: 1,
  chain: 0,
  fresh: false,
  epoch: 1,
  time: 0,
  origin: 'lb-1',
} as const;

/** A file of other versions, with a content that has grown, and these messages. */
function fileOf(version: number, readers: number, messages: readonly Buffer[]): Buffer {
  const { bytes } = encodeHead(HEAD);
  const grown = Buffer.concat([bytes.subarray(0, bytes.length - 4), Buffer.from('more'), Buffer.alloc(4)]);
  grown[8] = version;
  grown[9] = readers;
  grown.writeUInt16LE(grown.readUInt16LE(10) + 4, 10);
  const chain = crc32c(0, grown, 0, grown.length - 4);
  grown.writeUInt32LE(chain, grown.length - 4);
  const out = new RecordWriter(chain);
  let position = 0;
  for (const message of messages) out.add(message, message[0] === 1 ? ++position : position, 0, 0);
  return Buffer.concat([grown, out.view()]);
}

/** A change of kind 99; `flags` 1: it may be skipped. */
function unknownKind(flags: number): Buffer {
  const known = encodeProposal({
    origin: 'lb-1',
    epoch: 1,
    n: 9,
    time: 0,
    cause: '',
    body: { kind: 'leave' },
  });
  return Buffer.concat([known.subarray(0, known.length - 3), Buffer.of(99, flags, 1, 7)]);
}

test("the next version's file is read, a message and an entry that may be skipped are, and no snapshot drops them", async () => {
  const disk = new Disk(generator());
  const messages = [
    encodeProposal(numbered(1)),
    Buffer.of(0xc1, 1, 2),
    unknownKind(1),
    encodeProposal(numbered(2)),
  ];
  disk.put(logName(1), fileOf(2, 1, messages));
  const life = await live(disk.files());
  assert.equal(life.registry.position, 3);
  assert.equal(life.registry.skipped, 1);
  assert.equal(life.registry.notUnderstood, 0);
  await life.log.snapshot();
  assert(life.notes.some(note => note.includes('of a newer version, and are kept for it')));
  assert(!disk.names().some(name => name.endsWith('.snapshot')));
  await life.close();
});

test('an entry that must be known, and a message that must, are told', async () => {
  const disk = new Disk(generator());
  disk.put(logName(1), fileOf(2, 1, [unknownKind(0), Buffer.of(0x41)]));
  const life = await live(disk.files());
  assert.equal(life.registry.notUnderstood, 2);
  await life.close();
});

test('a file that says that this version cannot read it is not read', async () => {
  const disk = new Disk(generator());
  disk.put(logName(1), fileOf(3, 2, []));
  await assert.rejects(
    live(disk.files()),
    /0000000001\.log: version 3 of the log's format wrote this file.*--ignore-state/,
  );
});

test('a real disk without room, and room again', {
  skip:
    process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root, to mount a small disk',
}, async () => {
  const root = mkdtempSync(join(tmpdir(), 'heapmesh-full-'));
  const directory = join(root, 'disk');
  mkdirSync(directory);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory]);
  try {
    const life = await live(filesIn(directory), { historyOctets: 0 });
    let n = 0;
    const append = (): Promise<number> => life.log.append(numbered(++n));
    for (let i = 0; i < 20; i++) await append();
    const filler = join(directory, 'filler');
    try {
      writeFileSync(filler, Buffer.alloc(2 ** 20));
    } catch {
      // As far as it went: the disk is full now.
    }
    let refused: Error | undefined;
    while (refused === undefined) await append().catch((error: Error) => (refused = error));
    assert.match(refused.message, /is full: changes are not kept/);
    const kept = n - 1;
    assert.equal(life.registry.position, n, 'the instance goes on');
    rmSync(filler);
    life.later();
    assert.equal(await append(), n);
    assert.equal(life.log.status().state, 'healthy');
    assert(kept >= 20);
    const { position } = life.registry;
    const digest = life.registry.digest();
    await life.close();
    const next = await live(filesIn(directory));
    assert.equal(next.registry.position, position);
    assert.equal(next.registry.digest(), digest);
    await next.close();
  } finally {
    execFileSync('umount', [directory]);
    rmSync(root, { recursive: true, force: true });
  }
});
