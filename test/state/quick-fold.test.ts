/** The quick way through a log against the fold that has the meaning: the same records, to the last cause. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import type { Body, Proposal } from '../../src/core/entries.ts';
import { apply } from '../../src/core/fold.ts';
import { EMPTY_SNAPSHOT, snapshotOf, storeOf } from '../../src/core/snapshot.ts';
import { RecordStore } from '../../src/core/store.ts';
import { decodeProposal, encodeProposal } from '../../src/state/codec.ts';
import { Replay } from '../../src/state/recovery.ts';
import { ServerRows } from '../../src/state/server-rows.ts';
import { history } from '../core/history.ts';
import { server } from '../core/registry-support.ts';
import { cases, generator, seeded } from '../support/seed.ts';
import { proposal as anything } from './bodies.ts';

/** Folds messages both ways, from a snapshot on, and compares at a few places and at the end. */
function compare(all: readonly Proposal[], looks: number): void {
  const messages = all.map(encodeProposal);
  let start = EMPTY_SNAPSHOT;
  let replay = new Replay(undefined);
  let store = new RecordStore();
  for (const [i, message] of messages.entries()) {
    replay.record(message, 0, message.length, i + 1);
    apply(store, decodeProposal(message));
    store.trim();
    if ((i + 1) % looks !== 0 && i + 1 < messages.length) continue;
    const { snapshot } = replay.done();
    const { skipped, notUnderstood } = snapshot;
    const expected = snapshotOf(store, { position: i + 1, skipped, notUnderstood });
    assert.deepEqual(snapshot, expected, `after ${i + 1}: ${JSON.stringify(all.slice(0, i + 1))}`);
    // Now and then a new life begins from there.
    if (i % 3 !== 0) continue;
    start = snapshot;
    replay = new Replay(start);
    store = storeOf(start);
  }
}

const record = <T>(model: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as Arbitrary<T>;
const id = fc.constantFrom('a', 'b', 'server-ä', 'x'.repeat(64), 'x'.repeat(65));
const kinds = <K extends string>(...of: K[]) => fc.constantFrom(...of);
const address = fc.constantFrom('a.test:1', 'b.test:2');
const spec = fc
  .record({
    id,
    address,
    weight: fc.constantFrom(1, 1, 1, 2.5, Number.NaN, 0, -0),
    labels: fc.constantFrom({}, { a: '1', b: '2' }, { b: '2', a: '1' }, { k: 'v'.repeat(200) }),
    standby: fc.integer({ min: 0, max: 9 }).map(n => n === 0),
  })
  .map(({ id: of, ...properties }) => server(of, properties));

/** Of one instance, mostly of servers' own streams: what the quick way is for. */
const body: Arbitrary<Body> = fc.oneof(
  { weight: 8, arbitrary: record({ kind: kinds('claim'), source: fc.constant('stream' as const), spec }) },
  {
    weight: 8,
    arbitrary: record({
      kind: kinds('observe'),
      id,
      observation: fc.oneof(
        record({ phase: kinds('warming', 'active', 'ejected'), healthy: fc.boolean() }),
        record({
          phase: kinds('warming', 'active', 'ejected'),
          healthy: fc.boolean(),
          doubtful: fc.constant(true),
        }),
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: record({
      kind: kinds('unclaim'),
      source: fc.constant('stream' as const),
      id,
      how: kinds('left', 'lost'),
    }),
  },
  {
    weight: 3,
    arbitrary: record({
      kind: kinds('drain'),
      id,
      by: fc.constantFrom('backend', 'backend', 'backend', 'operator', 'scaling'),
      timeoutMs: fc.constantFrom(0, 1000, 1.5),
      afterwards: fc.constantFrom('remove', 'remove', 'remove', 'stay', 'standby'),
    }),
  },
  { weight: 4, arbitrary: record({ kind: kinds('forget', 'drained'), id }) },
  record({ kind: kinds('undrain', 'remove'), id }),
  record({ kind: kinds('weight'), id, weight: fc.constantFrom(0, 3) }),
  record({
    kind: kinds('replace'),
    source: kinds('config', 'stream'),
    specs: fc.array(spec, { maxLength: 2 }),
  }),
);
const own: Arbitrary<Proposal> = fc
  .record({
    origin: fc.integer({ min: 0, max: 29 }).map(n => (n === 0 ? 'lb-2' : 'lb-1')),
    cause: fc.constantFrom('', 'registered itself', 'ä', 'x'.repeat(96), 'x'.repeat(97), 'x'.repeat(300)),
    time: fc.nat(9),
    wanted: fc.option(address, { nil: undefined }),
    of: fc.option(id, { nil: undefined }),
    body,
  })
  .map(({ wanted, of, ...rest }) => {
    const head = { epoch: 1_795_890_617_061, n: 7, ...rest };
    if (wanted === undefined || rest.body.kind !== 'claim') return head;
    return { ...head, preconditions: [{ kind: 'address', id: of ?? rest.body.spec.id, address: wanted }] };
  });

test('entries of one instance, mostly of streams: the quick way and the fold make the same', () => {
  fc.assert(
    fc.property(fc.array(own, { maxLength: 60, size: 'max' }), fc.integer({ min: 1, max: 60 }), compare),
    seeded(cases(1_500)),
  );
});

test('what is the same by its octets and yet not, and what a precondition says of another server', () => {
  const head = { origin: 'lb-1', epoch: 1, n: 1, time: 1, cause: '' };
  const claim = (of: string, properties: object): Proposal => ({
    ...head,
    body: { kind: 'claim', source: 'stream', spec: server(of, properties) },
  });
  const none = claim('a', { weight: Number.NaN });
  compare([claim('a', {}), none, none, none], 60);
  const labels = [claim('a', { labels: { a: '1', b: '2' } }), claim('a', { labels: { b: '2', a: '1' } })];
  compare([...labels, ...labels, claim('a', { weight: 0 }), claim('a', { weight: -0 })], 60);
  // The claim of one that was lost is new, however it equals the one before.
  const lost: Proposal = { ...head, body: { kind: 'unclaim', source: 'stream', id: 'a', how: 'lost' } };
  compare([claim('a', { weight: -0 }), lost, claim('a', { weight: 0 })], 60);
  compare([claim('a', { weight: -0 }), claim('a', { weight: 0 }), lost, claim('a', { weight: 0 })], 60);
  // Of a server whose last change the store has not had yet.
  const moved = claim('b', { address: 'b.test:2' });
  const wanted = { kind: 'address', id: 'b', address: 'b.test:2' } as const;
  compare([claim('b', {}), moved, { ...claim('a', {}), preconditions: [wanted] }], 60);
  compare([claim('b', {}), moved, { ...head, body: { kind: 'weight', id: 'b', weight: 3 } }], 60);
});

test('entries of several instances and all sources, and entries of any shape', () => {
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 60 }), (entries, looks) => {
      compare(
        entries.map(({ proposal }) => proposal).filter(({ body: { kind } }) => kind !== 'unknown'),
        looks,
      );
    }),
    seeded(cases(400)),
  );
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 30 }), all =>
      compare(
        // Of one instance, so that some of them are for the quick way.
        all.map(one => ({ ...one, origin: 'lb-1' })),
        7,
      ),
    ),
    seeded(cases(400)),
  );
});

test('rows: found by their ids while others come and go, and used again', () => {
  const random = generator();
  const rows = new ServerRows();
  const model = new Map<string, number>();
  // Few values, so that ids crowd together; a hash of no use, so that they crowd more.
  const hash = (id: string): number => id.length % 3;
  for (let step = 0; step < 20_000; step++) {
    const id = `s${Math.floor(random() * 700)}`;
    const bytes = Buffer.from(`..${id}`);
    const found = rows.find(bytes, 2, id.length, hash(id));
    assert.equal(found, model.get(id) ?? -1);
    if (found < 0) {
      const row = rows.add(bytes, 2, id.length, hash(id));
      assert.equal(rows.idOf(row), id);
      model.set(id, row);
    } else if (random() < 0.6) {
      rows.remove(found);
      model.delete(id);
    }
  }
  assert(rows.top <= 700);
  for (const [id, row] of model) assert.equal(rows.find(Buffer.from(id), 0, id.length, hash(id)), row);
});
