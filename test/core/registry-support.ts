/** What the tests of the registry share: servers, a store without cleverness, and a log that can be held up. */
import type { ServerSpec, ServerView } from '../../src/core/core.ts';
import { viewOf } from '../../src/core/effective.ts';
import type { Body, Entry, Precondition, Proposal } from '../../src/core/entries.ts';
import { apply } from '../../src/core/fold.ts';
import type { InstanceFact } from '../../src/core/instances.ts';
import { claimantOf, type ServerRecord } from '../../src/core/record.ts';
import { Registry, type RegistryOptions, type Settled } from '../../src/core/registry.ts';
import type { Store } from '../../src/core/store.ts';

export function server(id: string, properties: Partial<ServerSpec> = {}): ServerSpec {
  return {
    id,
    address: `${id}.test:50051`,
    services: ['echo.v1.EchoService'],
    weight: 1,
    zone: '',
    labels: {},
    maxConcurrency: 0,
    standby: false,
    ...properties,
  };
}

/** A store that is a map and nothing else: the model of the real ones. */
export class PlainStore implements Store {
  readonly records = new Map<string, ServerRecord>();
  readonly answers = new Map<string, string>();
  readonly instances = new Map<string, InstanceFact>();

  get(id: string): ServerRecord | undefined {
    return this.records.get(id);
  }

  put(id: string, record: ServerRecord | undefined): void {
    if (record) this.records.set(id, record);
    else this.records.delete(id);
  }

  claimedBy(claimant: string): readonly string[] {
    return [...this.records.values()]
      .filter(r => r.claims.some(c => claimantOf(c.source, c.origin) === claimant))
      .map(r => r.id)
      .sort();
  }

  answer(failure: string): string | undefined {
    return this.answers.get(failure);
  }

  setAnswer(failure: string, id: string): void {
    this.answers.set(failure, id);
  }

  instance(id: string): InstanceFact | undefined {
    return this.instances.get(id);
  }

  instanceCount(): number {
    return this.instances.size;
  }

  setInstance(id: string, fact: InstanceFact | undefined): void {
    if (fact) this.instances.set(id, fact);
    else this.instances.delete(id);
  }
}

/** What an instance has to see: every entry that it took in, then every own proposal that waits, from nothing. */
export function viewsFromNothing(
  self: string,
  entries: readonly Entry[],
  pending: readonly Proposal[] = [],
): Map<string, ServerView> {
  const store = new PlainStore();
  for (const { proposal } of entries) apply(store, proposal);
  for (const proposal of pending) apply(store, proposal);
  const views = new Map<string, ServerView>();
  for (const record of store.records.values()) {
    const view = viewOf(record, self);
    if (view) views.set(record.id, view);
  }
  return views;
}

export function byId(views: Iterable<ServerView>): Map<string, ServerView> {
  return new Map([...views].map(view => [view.spec.id, view]));
}

/** Map by key, so that two of them compare whatever their order. */
export function sorted<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A registry whose log answers only when told to. */
export class Held {
  readonly registry: Registry;
  /** Proposals that have no position yet, in order. */
  waiting: Proposal[] = [];
  readonly entries: Entry[];
  /** What listeners threw, assertions among it: the registry itself lets nothing through. */
  readonly thrown: unknown[] = [];
  #time = 1_000_000;

  constructor(instanceId = 'lb-1', entries: Entry[] = [], options: Partial<RegistryOptions> = {}) {
    this.entries = entries;
    this.registry = new Registry({
      instanceId,
      epoch: 1,
      append: proposal => this.waiting.push(proposal),
      wallClock: () => {
        this.#time += 1000;
        return this.#time;
      },
      onError: error => this.thrown.push(error),
      ...options,
    });
  }

  /** Gives the waiting proposal at this place the next position of the log. */
  order(at = 0): void {
    const [proposal] = this.waiting.splice(at, 1);
    if (proposal) this.entries.push({ position: this.entries.length + 1, proposal });
  }

  /** Takes in the next `count` entries; all there are by default. */
  takeIn(count = Number.POSITIVE_INFINITY): void {
    const from = this.registry.position;
    for (const entry of this.entries.slice(from, from + count)) this.registry.ingest(entry);
  }

  /** Everything that waits is ordered and taken in. */
  settle(): void {
    while (this.waiting.length > 0) this.order();
    this.takeIn();
  }
}

/** A registration by stream. */
export function claim(id: string, properties: Partial<ServerSpec> = {}): Body {
  return { kind: 'claim', source: 'stream', spec: server(id, properties) };
}

/** Proposes, has it ordered and taken in, and tells what became of it. */
export async function done(
  held: Held,
  body: Body,
  cause = 'test',
  preconditions: Precondition[] = [],
): Promise<Settled> {
  const settled = held.registry.propose(body, cause, preconditions);
  held.settle();
  return settled;
}

/** What another instance proposes. */
export function foreign(body: Body, n: number, properties: Partial<Proposal> = {}): Proposal {
  return { origin: 'lb-2', epoch: 1, n, time: 5, cause: 'foreign', body, ...properties };
}
