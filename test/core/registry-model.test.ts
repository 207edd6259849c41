/**
 * Several instances on one list, in any order that a log can bring about: own proposals that wait, that
 * are ordered behind others' or out of their own order, that the log fails, that it fails and has taken
 * all the same. After every step each instance must see what a fold from nothing gives.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ServerView, SOURCES } from '../../src/core/core.ts';
import type { Body, Entry, Precondition, Proposal } from '../../src/core/entries.ts';
import { apply } from '../../src/core/fold.ts';
import type { RegistryEvent, Settled } from '../../src/core/registry.ts';
import { seeded } from '../support/seed.ts';
import { byId, Held, PlainStore, server, sorted, viewsFromNothing } from './registry-support.ts';

const id = fc.constantFrom('a', 'b', 'c', 'd');
const source = fc.constantFrom(...SOURCES);
const spec = fc
  .record({ id, port: fc.constantFrom(1, 2), weight: fc.constantFrom(1, 2), standby: fc.boolean() })
  .map(({ id, port, weight, standby }) => server(id, { address: `${id}.test:${port}`, weight, standby }));
const afterwards = fc.constantFrom('stay' as const, 'remove' as const, 'standby' as const);
const failure = fc.constantFrom('f', 'g');

const body: fc.Arbitrary<Body> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('claim' as const), source, spec }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('replace' as const),
      source,
      specs: fc.array(spec, { maxLength: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('unclaim' as const),
      source,
      id,
      how: fc.constantFrom('left' as const, 'lost' as const),
    }),
  },
  fc.record({ kind: fc.constantFrom('forget' as const, 'remove' as const), id }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('drain' as const),
      id,
      by: fc.constantFrom('operator' as const, 'backend' as const, 'scaling' as const),
      timeoutMs: fc.constantFrom(0, 1000),
      afterwards,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('undrain' as const, 'drained' as const), id }) },
  fc.record({ kind: fc.constant('weight' as const), id, weight: fc.constantFrom(0, 1, 5, Number.NaN) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('activate' as const), id, failure }) },
  fc.record({ kind: fc.constant('activate' as const), id }),
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('observe' as const),
      id,
      observation: fc.record({
        phase: fc.constantFrom('warming' as const, 'active' as const, 'ejected' as const),
        healthy: fc.boolean(),
      }),
    }),
  },
  fc.record({
    kind: fc.constant('join' as const),
    control: fc.constantFrom('x', 'y'),
    proxy: fc.constant('p'),
  }),
  fc.record({ kind: fc.constant('leave' as const) }),
  fc.record({
    kind: fc.constant('retire' as const),
    instance: fc.constantFrom('lb-1', 'lb-2', 'lb-3'),
    epoch: fc.constantFrom(1, 1, 2),
  }),
  fc.record({
    kind: fc.constant('unknown' as const),
    name: fc.constant('later'),
    maySkip: fc.boolean(),
    raw: fc.constant(null),
  }),
);

const precondition: fc.Arbitrary<Precondition> = fc.oneof(
  fc.record({ kind: fc.constant('version' as const), id, version: fc.nat(4) }),
  fc.record({ kind: fc.constant('address' as const), id, address: fc.constantFrom('a.test:1', 'b.test:2') }),
  fc.record({ kind: fc.constant('standby' as const), id }),
  fc.record({ kind: fc.constant('unanswered' as const), failure }),
);

interface Step {
  do: 'propose' | 'order' | 'take' | 'fail' | 'fail-but-keep';
  who: number;
  at: number;
  body: Body;
  preconditions: Precondition[];
}

const steps = fc.array<Step>(
  fc.record({
    do: fc.oneof(
      { weight: 6, arbitrary: fc.constant('propose' as const) },
      { weight: 5, arbitrary: fc.constant('order' as const) },
      { weight: 5, arbitrary: fc.constant('take' as const) },
      fc.constantFrom('fail' as const, 'fail-but-keep' as const),
    ),
    who: fc.nat(2),
    // Mostly the oldest one: what logs do.
    at: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(3)),
    body,
    preconditions: fc.oneof(
      { weight: 3, arbitrary: fc.constant<Precondition[]>([]) },
      fc.array(precondition, { minLength: 1, maxLength: 2 }),
    ),
  }),
  { maxLength: 80, size: 'max' },
);

/** An instance with all that it ever told its listeners, and what the model needs of it. */
class Watched extends Held {
  readonly id: string;
  /** What a listener of changes has put together. */
  readonly mirror = new Map<string, ServerView>();
  readonly events: RegistryEvent[] = [];
  readonly outcomes: { proposal: Proposal; settled?: Settled; failed?: string }[] = [];
  /** Own proposals that neither came back nor failed. */
  pending: Proposal[] = [];

  constructor(id: string, entries: Entry[]) {
    super(id, entries);
    this.id = id;
    this.registry.onChange((server, before, after) => {
      assert.deepEqual(before, this.mirror.get(server), 'a change begins where the last one ended');
      assert.notDeepEqual(before, after, 'a change changes something');
      if (after) this.mirror.set(server, after);
      else this.mirror.delete(server);
    });
    this.registry.onEvent(event => this.events.push(event));
  }

  step({ do: action, at, body, preconditions }: Step): void {
    const place = Math.min(at, this.waiting.length - 1);
    const proposal = this.waiting[place];
    if (action === 'propose') {
      const promise = this.registry.propose(body, `cause ${this.outcomes.length % 2}`, preconditions);
      const made = this.waiting.at(-1);
      assert(made);
      this.pending.push(made);
      const outcome: (typeof this.outcomes)[number] = { proposal: made };
      this.outcomes.push(outcome);
      promise.then(
        settled => Object.assign(outcome, { settled }),
        (error: Error) => Object.assign(outcome, { failed: error.message }),
      );
    } else if (action === 'take') {
      const next = this.entries[this.registry.position];
      this.takeIn(1);
      this.pending = this.pending.filter(p => p !== next?.proposal);
    } else if (proposal === undefined) {
      return;
    } else if (action === 'order') {
      this.order(place);
    } else {
      if (action === 'fail') this.waiting.splice(place, 1);
      this.registry.reject(proposal.n, new Error('disk full'));
      this.pending = this.pending.filter(p => p !== proposal);
    }
  }

  check(): void {
    if (this.thrown.length > 0) throw this.thrown[0];
    const entries = this.entries.slice(0, this.registry.position);
    const expected = sorted(viewsFromNothing(this.id, entries, this.pending));
    assert.deepEqual(sorted(byId(this.registry.list())), expected, 'the list');
    assert.deepEqual(sorted(this.mirror), expected, 'what listeners put together');
    for (const id of ['a', 'b', 'c', 'd']) {
      assert.deepEqual(this.registry.get(id), expected.find(([name]) => name === id)?.[1]);
    }
    assert.equal(this.registry.pending, this.pending.length);
  }
}

for (const instances of [1, 2, 3]) {
  test(`${instances} instances on one list: views as from nothing after every step, one set of facts in the end`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async script => {
        const entries: Entry[] = [];
        const all = Array.from({ length: instances }, (_, i) => new Watched(`lb-${i + 1}`, entries));
        for (const step of script) {
          const one = all[step.who % instances];
          assert(one);
          one.step(step);
          one.check();
        }
        while (all.some(one => one.waiting.length > 0)) for (const one of all) one.order();
        for (const one of all) {
          while (one.registry.position < entries.length) {
            one.step({ do: 'take', who: 0, at: 0, body: { kind: 'forget', id: '' }, preconditions: [] });
            one.check();
          }
          assert.deepEqual(one.pending, []);
        }
        await Promise.resolve();
        assert.equal(new Set(all.map(one => one.registry.digest())).size, 1, 'one set of facts');
        for (const one of all) {
          replayEqualsLive(one, entries);
          outcomesAreThoseOfTheList(one, entries);
        }
      }),
      seeded(instances === 1 ? 300 : 500),
    );
  });
}

function replayEqualsLive(live: Watched, entries: Entry[]): void {
  const replayed = new Watched(live.id, entries);
  replayed.takeIn();
  assert.equal(replayed.registry.digest(), live.registry.digest());
  assert.deepEqual(sorted(byId(replayed.registry.list())), sorted(byId(live.registry.list())));
  assert.deepEqual(replayed.events, live.events);
  assert.deepEqual(replayed.registry.eventsAfter(0), live.events);
  assert.equal(replayed.registry.notUnderstood, live.registry.notUnderstood);
  const other = new Held('another', entries);
  other.takeIn();
  assert.equal(other.registry.digest(), live.registry.digest(), 'facts are those of any instance');
}

function outcomesAreThoseOfTheList(live: Watched, entries: Entry[]): void {
  const verdicts = new Map<Proposal, Settled>();
  const store = new PlainStore();
  for (const { position, proposal } of entries) {
    const { applied, why } = apply(store, proposal);
    verdicts.set(proposal, { position, applied, why });
  }
  for (const { proposal, settled, failed } of live.outcomes) {
    if (failed === undefined) assert.deepEqual(settled, verdicts.get(proposal));
    else assert.equal(failed, 'disk full');
  }
}
