/** Snapshots and notes of load: read back, split, damaged; and what follows a snapshot goes as without one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Entry } from '../../src/core/entries.ts';
import type { LoadNote } from '../../src/core/load-note.ts';
import { Registry } from '../../src/core/registry.ts';
import { type Snapshot, snapshotDigest } from '../../src/core/snapshot.ts';
import { CodecError } from '../../src/state/bytes.ts';
import { decodeLoads, encodeLoads } from '../../src/state/load-codec.ts';
import { encodeSnapshot, SnapshotReader } from '../../src/state/snapshot-codec.ts';
import { history } from '../core/history.ts';
import { byId, sorted } from '../core/registry-support.ts';
import { seeded } from '../support/seed.ts';
import { text } from './bodies.ts';

function registryOf(entries: readonly Entry[], start?: Snapshot): Registry {
  const registry = new Registry({ instanceId: 'lb-1', epoch: 1, append: () => {}, wallClock: () => 0 });
  if (start) registry.restore(start);
  for (const entry of entries) registry.ingest(entry);
  return registry;
}

function readBack(snapshot: Snapshot, partOctets?: number): Snapshot {
  const reader = new SnapshotReader();
  const messages = [...encodeSnapshot(snapshot, partOctets)];
  for (const message of messages.slice(0, -1)) assert.equal(reader.take(message), undefined);
  const read = reader.take(messages.at(-1) as Buffer);
  assert(read);
  return read;
}

test('a snapshot at any place, written and read, and the entries behind it: as from the beginning', () => {
  fc.assert(
    fc.property(history, fc.nat(), fc.constantFrom(1, 100, 1 << 18), (entries, at, partOctets) => {
      const cut = at % (entries.length + 1);
      const whole = registryOf(entries);
      const before = registryOf(entries.slice(0, cut)).snapshot();
      const read = readBack(before, partOctets);
      assert.deepEqual(read, before);
      const told = new Map<string, unknown>();
      const restored = registryOf([], read);
      assert.deepEqual(sorted(byId(restored.list())), sorted(byId(registryOf(entries.slice(0, cut)).list())));
      restored.onChange((id, _, after) => told.set(id, after));
      for (const entry of entries.slice(cut)) restored.ingest(entry);
      assert.equal(restored.digest(), whole.digest());
      assert.deepEqual(restored.snapshot(), whole.snapshot(), 'the order of what is forgotten included');
      assert.equal(restored.notUnderstood, whole.notUnderstood);
      // Events of what came behind are those that anybody saw.
      assert.deepEqual(restored.eventsAfter(cut), whole.eventsAfter(cut));
    }),
    seeded(400),
  );
});

test('a registry tells its listeners of all that it is restored with, and is restored once, at first', () => {
  fc.assert(
    fc.property(history, entries => {
      const whole = registryOf(entries);
      const registry = registryOf([]);
      const mirror = new Map<string, unknown>();
      registry.onChange((id, before, after) => {
        assert.equal(before, undefined);
        mirror.set(id, after);
      });
      registry.restore(whole.snapshot());
      assert.deepEqual(sorted(mirror), sorted(byId(whole.list())));
      assert.equal(registry.position, entries.length);
      if (entries.length > 0) assert.throws(() => registry.restore(whole.snapshot()), /before its first/);
    }),
    seeded(50),
  );
});

test('a snapshot with a part missing, doubled, changed or of another is refused', () => {
  fc.assert(
    fc.property(
      history.filter(entries => registryOf(entries).snapshot().records.length > 1),
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (entries, which, at, flip) => {
        const snapshot = registryOf(entries).snapshot();
        const messages = [...encodeSnapshot(snapshot, 64)];
        const take = (all: readonly Buffer[]): void => {
          const reader = new SnapshotReader();
          for (const message of all.slice(0, -1)) reader.take(message);
          const read = reader.take(all.at(-1) as Buffer);
          assert(read === undefined || snapshotDigest(read) === snapshotDigest(snapshot));
          assert(read !== undefined);
        };
        const i = which % messages.length;
        for (const wrong of [messages.toSpliced(i, 1), messages.toSpliced(i, 0, messages[i] as Buffer)]) {
          try {
            take(wrong);
            assert.fail('it was taken');
          } catch (error) {
            if (i < messages.length - 1) assert(error instanceof CodecError, String(error));
          }
        }
        // A change of an octet is for the log's checksum to find; here it must only never do harm.
        const changed = Buffer.from(messages[i] as Buffer);
        changed[at % changed.length] = (changed[at % changed.length] as number) ^ flip;
        try {
          new SnapshotReader().take(changed);
          take(messages.with(i, changed));
        } catch (error) {
          assert(error instanceof CodecError || error instanceof assert.AssertionError, String(error));
        }
      },
    ),
    seeded(200),
  );
});

const f32 = fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(1e-6) });
const rows = fc.uniqueArray(
  fc.record(
    {
      id: text,
      ageMs: fc.maxSafeNat(),
      intervalMs: fc.nat(100_000),
      inFlight: fc.oneof(f32, fc.constant(Number.NaN), fc.constant(0)),
      utilization: fc.oneof(f32, fc.constant(0)),
      capacity: fc.oneof(f32, fc.constant(0)),
      others: fc.oneof(f32, fc.constant(Number.NaN), fc.constant(0)),
      failure: fc.oneof(f32, fc.constant(0)),
    },
    { noNullPrototype: true },
  ),
  { selector: row => row.id, maxLength: 20 },
);
const note: fc.Arbitrary<LoadNote> = fc
  .record(
    { origin: text, epoch: fc.maxSafeNat(), time: fc.double({ noNaN: true }), rows },
    { noNullPrototype: true },
  )
  .map(one => ({ ...one, rows: one.rows.toSorted((a, b) => (a.id < b.id ? -1 : 1)) }));

test('notes of load are read back, and damaged ones are refused or read, never more', () => {
  fc.assert(
    fc.property(note, fc.nat(), fc.nat(255), (one, at, octet) => {
      const bytes = encodeLoads(one);
      assert.deepEqual(decodeLoads(bytes), one);
      for (let cut = 0; cut < bytes.length; cut += 7) {
        assert.throws(() => decodeLoads(bytes.subarray(0, cut)), CodecError);
      }
      bytes[at % bytes.length] = octet;
      try {
        decodeLoads(bytes);
      } catch (error) {
        assert(error instanceof CodecError, String(error));
      }
    }),
    seeded(300),
  );
});

test('golden bytes of loads, and the size of those of 10,000 backends', () => {
  const row = {
    ageMs: 300,
    intervalMs: 1000,
    inFlight: 3,
    utilization: 0.5,
    capacity: 0,
    others: 2,
    failure: 0,
  };
  const golden = encodeLoads({
    origin: 'lb-1',
    epoch: 7,
    time: 0,
    rows: [
      { ...row, id: 'be-1' },
      { ...row, id: 'be-2', inFlight: Number.NaN, utilization: 0, others: Number.NaN },
    ],
  });
  const expected = [
    '82 046c622d31 07 0000000000000000 02',
    '00 0462652d31 0b ac02 e807 00004040 0000003f 00000040',
    '03 0132 00 ac02 e807',
  ];
  assert.equal(golden.toString('hex'), expected.join('').replace(/\s/g, ''));
  const many = Array.from({ length: 10_000 }, (_, i) => ({
    ...row,
    id: `backend-7d9c-${String(i).padStart(5, '0')}`,
    capacity: 1234.5,
    failure: 0.01,
  }));
  const size = encodeLoads({ origin: 'lb-1', epoch: 7, time: 0, rows: many }).length;
  assert(size < 400_000, `${size} octets must fit one message of a broker`);
});
