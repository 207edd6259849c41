/**
 * The confirmed records with own pending proposals on top: what an instance acts on while its log has
 * not answered yet.
 *
 * Only records that a pending proposal wrote are kept here; all others are those of the base. Each
 * pending proposal remembers the keys that it read or wrote. Two that share no key do not matter to
 * each other, so where the base changes, only those are applied anew that hang together with what
 * changed. The result is always that of applying all pending proposals, in their order, to the base.
 */
import type { Proposal } from './entries.ts';
import { apply } from './fold.ts';
import type { InstanceFact } from './instances.ts';
import { claimantOf, claimantsChanged, type ServerRecord } from './record.ts';
import { keyOf, type RecordStore, type Store } from './store.ts';

type Before = Map<string, ServerRecord | undefined>;

interface Held {
  readonly proposal: Proposal;
  /** Keys that it read or wrote, but for those of claimants that it only wrote. */
  touched: ReadonlySet<string>;
  /**
   * Keys of claimants whose set it changed. Two that add to one set do not matter to each other (all
   * registrations by stream are such); who read the set matters to neither, but they to him.
   */
  claimed: ReadonlySet<string>;
}

export class Overlay implements Store {
  readonly #base: RecordStore;
  readonly #records = new Map<string, ServerRecord | undefined>();
  readonly #answers = new Map<string, string>();
  readonly #instances = new Map<string, InstanceFact | undefined>();
  /** Own pending proposals by their number, which is their order. */
  readonly #pending = new Map<number, Held>();
  /** None is older. */
  #oldest = 1;
  /** By key, who touched it. */
  readonly #touchers = new Map<string, Set<Held>>();

  /** Of the proposal that is being applied. */
  #touched = new Set<string>();
  #claimed = new Set<string>();
  #before: Before = new Map();

  constructor(base: RecordStore) {
    this.#base = base;
  }

  /** Number of pending proposals. */
  get size(): number {
    return this.#pending.size;
  }

  /** Pending proposals in their order. */
  *proposals(): Generator<Proposal> {
    for (const { proposal } of this.#pending.values()) yield proposal;
  }

  has(n: number): boolean {
    return this.#pending.has(n);
  }

  /** Number of the oldest pending proposal; 0 where there is none. */
  first(): number {
    if (this.#pending.size === 0) return 0;
    // Not by the map's iterator: at its front it walks over all that was deleted there.
    while (!this.#pending.has(this.#oldest)) this.#oldest += 1;
    return this.#oldest;
  }

  /** The record as this instance sees it; unlike `get` it leaves no trace. */
  peek(id: string): ServerRecord | undefined {
    return this.#records.has(id) ? this.#records.get(id) : this.#base.get(id);
  }

  *records(): Generator<ServerRecord> {
    for (const record of this.#base.records()) {
      if (!this.#records.has(record.id)) yield record;
    }
    for (const record of this.#records.values()) if (record) yield record;
  }

  get(id: string): ServerRecord | undefined {
    this.#touched.add(keyOf.server(id));
    return this.peek(id);
  }

  put(id: string, record: ServerRecord | undefined): void {
    this.#touched.add(keyOf.server(id));
    const before = this.peek(id);
    if (!this.#before.has(id)) this.#before.set(id, before);
    for (const claimant of claimantsChanged(before, record)) this.#claimed.add(keyOf.claimant(claimant));
    this.#records.set(id, record);
  }

  claimedBy(claimant: string): readonly string[] {
    this.#touched.add(keyOf.claimant(claimant));
    const ids = new Set(this.#base.claimedBy(claimant));
    for (const [id, record] of this.#records) {
      if (record?.claims.some(c => claimantOf(c.source, c.origin) === claimant)) ids.add(id);
      else ids.delete(id);
    }
    return [...ids].sort();
  }

  /** As `answer`, for readers: it marks nothing as read by a proposal. */
  answerOf(failure: string): string | undefined {
    return this.#answers.get(failure) ?? this.#base.answer(failure);
  }

  answer(failure: string): string | undefined {
    this.#touched.add(keyOf.answer(failure));
    return this.#answers.get(failure) ?? this.#base.answer(failure);
  }

  setAnswer(failure: string, id: string): void {
    this.#touched.add(keyOf.answer(failure));
    this.#answers.set(failure, id);
  }

  instance(id: string): InstanceFact | undefined {
    this.#touched.add(keyOf.instance(id));
    return this.#instances.has(id) ? this.#instances.get(id) : this.#base.instance(id);
  }

  instanceCount(): number {
    this.#touched.add(keyOf.instances);
    let count = this.#base.instanceCount();
    for (const [id, fact] of this.#instances) {
      count += Number(fact !== undefined) - Number(this.#base.instance(id) !== undefined);
    }
    return count;
  }

  setInstance(id: string, fact: InstanceFact | undefined): void {
    this.#touched.add(keyOf.instance(id));
    this.#touched.add(keyOf.instances);
    this.#instances.set(id, fact);
  }

  /**
   * Applies an own proposal on top of all others; its number is higher than theirs. Returns what the
   * records were that it changed.
   */
  add(proposal: Proposal): Before {
    this.#before = new Map();
    const held: Held = { proposal, touched: new Set(), claimed: new Set() };
    this.#pending.set(proposal.n, held);
    this.#run(held);
    return this.#before;
  }

  /**
   * The base now has the oldest pending proposal in it, and nothing else has changed there: what is
   * seen stays the same, and only what was kept for it alone is let go.
   */
  settleFirst(): void {
    const n = this.first();
    const held = this.#pending.get(n);
    if (held === undefined) return;
    for (const key of held.touched) {
      if (this.#untouch(key, held)) this.#forget(key);
    }
    this.#pending.delete(n);
  }

  /**
   * The base has changed at `keys` (its records there were `baseBefore`), or the pending proposal
   * `dropped` shall no longer count. Returns the records, as they were seen before, that may look
   * different now.
   */
  rebase(
    keys: Iterable<string>,
    baseBefore: ReadonlyMap<string, ServerRecord | undefined>,
    dropped?: number,
  ): Before {
    const before: Before = new Map();
    for (const [id, record] of baseBefore) {
      before.set(id, this.#records.has(id) ? this.#records.get(id) : record);
    }
    this.#before = before;
    const seeds = new Set(keys);
    const leaving = dropped === undefined ? undefined : this.#pending.get(dropped);
    if (leaving !== undefined) {
      this.#reset(leaving, seeds);
      this.#pending.delete(leaving.proposal.n);
    }
    let affected = this.#affected(seeds);
    while (affected.length > 0) {
      for (const held of affected) this.#reset(held, seeds);
      for (const held of affected) this.#run(held);
      // Applied anew, one may touch what it did not touch before, and so affect more of them.
      for (const held of affected) addKeys(seeds, held);
      const wider = this.#affected(seeds);
      if (wider.length === affected.length) break;
      affected = wider;
    }
    return before;
  }

  /** Pending proposals that touch one of the keys, or a key of one that does, in their order; widens `keys`. */
  #affected(keys: Set<string>): Held[] {
    const found = new Set<Held>();
    // Walking a set includes what is added meanwhile.
    for (const key of keys) {
      for (const held of this.#touchers.get(key) ?? []) {
        if (found.has(held)) continue;
        found.add(held);
        addKeys(keys, held);
      }
    }
    return [...found].sort((a, b) => a.proposal.n - b.proposal.n);
  }

  #run(held: Held): void {
    this.#touched = new Set();
    this.#claimed = new Set();
    apply(this, held.proposal);
    held.touched = this.#touched;
    held.claimed = this.#claimed;
    for (const key of held.touched) {
      const touchers = this.#touchers.get(key);
      if (touchers) touchers.add(held);
      else this.#touchers.set(key, new Set([held]));
    }
  }

  /** Takes back what was written where this one wrote; all that touch it are applied anew afterwards. */
  #reset(held: Held, keys: Set<string>): void {
    addKeys(keys, held);
    for (const key of held.touched) {
      this.#untouch(key, held);
      this.#forget(key);
    }
  }

  #untouch(key: string, held: Held): boolean {
    const touchers = this.#touchers.get(key);
    touchers?.delete(held);
    if (touchers?.size !== 0) return false;
    this.#touchers.delete(key);
    return true;
  }

  #forget(key: string): void {
    const name = key.slice(1);
    if (key === keyOf.answer(name)) this.#answers.delete(name);
    if (key === keyOf.instance(name)) this.#instances.delete(name);
    if (key !== keyOf.server(name) || !this.#records.has(name)) return;
    if (!this.#before.has(name)) this.#before.set(name, this.#records.get(name));
    this.#records.delete(name);
  }
}

function addKeys(keys: Set<string>, held: Held): void {
  for (const key of held.touched) keys.add(key);
  for (const key of held.claimed) keys.add(key);
}
