/**
 * The one writer of what is known of servers: a fold over entries, with own pending proposals on top.
 *
 *   propose ──> own view at once ──> append ──> (the log) ──> ingest ──> confirmed records
 *
 * Readers see the view: `get`, `list`, `onChange`. Events and the digest are of the confirmed records.
 * Listeners run after the state has changed and in the order of the changes, also where one of them
 * proposes in turn; one that throws is reported to `onError` and hinders nothing.
 */
import type { ServerView } from './core.ts';
import { digestOf } from './digest.ts';
import { sameView, viewOf } from './effective.ts';
import type { Body, Entry, Precondition, Proposal } from './entries.ts';
import { EventRing, eventsOf, noticeOf, type RegistryEvent, refusalOf, subjectOf } from './events.ts';
import { apply } from './fold.ts';
import type { InstanceFact } from './instances.ts';
import { REGISTRY_LIMITS } from './limits.ts';
import { Overlay } from './overlay.ts';
import type { ServerRecord } from './record.ts';
import { type Snapshot, snapshotOf, storeOf } from './snapshot.ts';
import { RecordStore } from './store.ts';
import type { Verdict } from './verdict.ts';

export type { RegistryEvent } from './events.ts';

/** What became of an own proposal. */
export interface Settled {
  readonly position: number;
  /** False: the entry is a recorded no-op. */
  readonly applied: boolean;
  /** Why not, or what of it was left out; empty where all of it was done. */
  readonly why: string;
  /** Why the log could not keep it, where that is so: it holds as long as this process does. */
  readonly notKept?: string;
}

export interface RegistryOptions {
  readonly instanceId: string;
  /** Start of this instance; higher than in its earlier lives. */
  readonly epoch: number;
  /** Hands a proposal to the log. May call `ingest` or `reject` before it returns; what it throws rejects. */
  readonly append: (proposal: Proposal) => void;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** Events kept for `eventsAfter`; `REGISTRY_LIMITS.events` by default. */
  readonly eventsHeld?: number;
  /** Takes what listeners throw; by default it is dropped. */
  readonly onError?: (error: unknown) => void;
}

export type ChangeListener = (
  id: string,
  before: ServerView | undefined,
  after: ServerView | undefined,
) => void;

interface Waiting {
  resolve(settled: Settled): void;
  reject(error: Error): void;
}

type Notice = { id: string; before: ServerView | undefined; after: ServerView | undefined } | RegistryEvent;

export class Registry {
  readonly #options: RegistryOptions;
  #confirmed = new RecordStore();
  #seen = new Overlay(this.#confirmed);
  readonly #waiting = new Map<number, Waiting>();
  readonly #events: EventRing;
  /**
   * By id, the last view that was made, and of which record. Not a WeakMap: the collector looks at each of its entries
   * while the process stands still.
   */
  readonly #views = new Map<string, { readonly record: ServerRecord; readonly view: ServerView }>();

  /** What `list` gave last; undefined where something may have changed since. */
  #listed: readonly ServerView[] | undefined;

  readonly #changeListeners = new Set<ChangeListener>();
  readonly #eventListeners = new Set<(event: RegistryEvent) => void>();
  readonly #instanceListeners = new Set<() => void>();
  #notices: Notice[] = [];
  #delivering = false;

  #n = 0;
  #position = 0;
  #skipped = 0;
  #notUnderstood = 0;
  #doubting = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#events = new EventRing(options.eventsHeld ?? REGISTRY_LIMITS.events);
  }

  /** Of this life of the instance. */
  get epoch(): number {
    return this.#options.epoch;
  }

  /** Of the last entry that was taken in; 0 where there is none. */
  get position(): number {
    return this.#position;
  }

  /** Own proposals that the log has not answered yet. */
  get pending(): number {
    return this.#seen.size;
  }

  /** Entries of an unknown kind that say of themselves that skipping them is safe. */
  get skipped(): number {
    return this.#skipped;
  }

  /**
   * Entries that this version does not understand and should. Above 0 its facts may differ from those
   * of other instances: it says so, and it wants to be updated.
   */
  get notUnderstood(): number {
    return this.#notUnderstood;
  }

  /** While this instance suspects itself, what it observes is marked as doubtful: no advice to others. */
  set doubting(doubting: boolean) {
    this.#doubting = doubting;
  }

  /**
   * Proposes a change: in the own view at once. Resolves when the log has given it a position, with
   * what became of it there; rejects where the log could not keep it, and the view is as if it had
   * never been. A caller that does not care may leave the promise alone.
   */
  propose(body: Body, cause: string, preconditions: readonly Precondition[] = []): Promise<Settled> {
    const { promise, resolve, reject } = Promise.withResolvers<Settled>();
    promise.catch(() => {});
    if (this.#seen.size >= REGISTRY_LIMITS.pending) {
      reject(
        new Error(`the log has not taken the last ${this.#seen.size} changes; no more are kept waiting`),
      );
      return promise;
    }
    this.#n += 1;
    const { instanceId: origin, epoch, append, wallClock } = this.#options;
    const proposal: Proposal = {
      origin,
      epoch,
      n: this.#n,
      time: wallClock(),
      cause,
      ...(preconditions.length > 0 && { preconditions }),
      body: this.#doubting ? doubtful(body) : body,
    };
    this.#waiting.set(proposal.n, { resolve, reject });
    this.#listed = undefined;
    this.#noteChanges(this.#seen.add(proposal));
    try {
      append(proposal);
    } catch (error) {
      this.reject(proposal.n, error instanceof Error ? error : new Error(String(error)));
    }
    this.#deliver();
    return promise;
  }

  /**
   * Takes in an entry of the log, own ones included. Entries come in the order of their positions; one
   * that was taken in before is ignored. `notKept` says why the log could not keep it, where that is so.
   */
  ingest(entry: Entry, notKept?: string): void {
    const { position, proposal } = entry;
    if (position <= this.#position) return;
    // What lies before the first entry was never seen here, so no reader can go on from there.
    if (this.#position === 0) this.#events.startAfter(position - 1);
    this.#position = position;

    this.#listed = undefined;
    const verdict = apply(this.#confirmed, proposal);
    const forgotten = this.#confirmed.trim();
    const { before, keys } = this.#confirmed.takeChanges();
    if (verdict.understood === 'may-skip') this.#skipped += 1;
    if (verdict.understood === 'must-know') this.#notUnderstood += 1;

    const own = this.#isPending(proposal);
    if (own && this.#seen.first() === proposal.n) {
      this.#seen.settleFirst();
      if (forgotten.length > 0) this.#noteChanges(this.#seen.rebase(forgotten, before));
    } else {
      this.#noteChanges(this.#seen.rebase(keys, before, own ? proposal.n : undefined));
    }
    this.#noteEvents(entry, verdict, before);
    if (own) {
      const { applied, why } = verdict;
      const settled = { position, applied, why };
      this.#settle(proposal.n)?.resolve(notKept === undefined ? settled : { ...settled, notKept });
    }
    this.#deliver();
    const { body } = proposal;
    if (verdict.applied && (body.kind === 'join' || body.kind === 'leave' || body.kind === 'retire')) {
      for (const listener of this.#instanceListeners) this.#guard(listener);
    }
  }

  /** All that was taken in so far, as it is now: what comes later does not change it. */
  snapshot(): Snapshot {
    const { position, skipped, notUnderstood } = this;
    return snapshotOf(this.#confirmed, { position, skipped, notUnderstood });
  }

  /**
   * Begins with what a log had: for a registry that has taken in and proposed nothing yet; throws for any
   * other. Listeners are told of every server. Events begin behind it.
   */
  restore(snapshot: Snapshot): void {
    if (this.#position !== 0 || this.#n !== 0)
      throw new Error('a registry is restored before its first entry');
    this.#begin(snapshot);
    for (const { id } of snapshot.records) {
      const after = this.get(id);
      if (after !== undefined) this.#notices.push({ id, before: undefined, after });
    }
    this.#deliver();
    if (snapshot.instances.length > 0) {
      for (const listener of this.#instanceListeners) this.#guard(listener);
    }
  }

  /**
   * Goes on from another state of the log, where entries in between cannot be had any more. Own proposals
   * up to number `settled` are in it; the others still wait, on top of it.
   */
  adopt(snapshot: Snapshot, settled: number): void {
    const before = new Map<string, ServerView>();
    for (const view of this.list()) before.set(view.spec.id, view);
    const waiting = [...this.#seen.proposals()];
    this.#begin(snapshot);
    for (const proposal of waiting) {
      if (proposal.n > settled) this.#seen.add(proposal);
      else this.#settle(proposal.n)?.resolve({ position: snapshot.position, applied: true, why: '' });
    }
    const ids = new Set([...before.keys(), ...snapshot.records.map(record => record.id)]);
    for (const id of [...this.list()].map(view => view.spec.id)) ids.add(id);
    for (const id of ids) {
      const [was, is] = [before.get(id), this.get(id)];
      if (!sameView(was, is)) this.#notices.push({ id, before: was, after: is });
    }
    this.#deliver();
    for (const listener of this.#instanceListeners) this.#guard(listener);
  }

  #begin(snapshot: Snapshot): void {
    this.#listed = undefined;
    this.#views.clear();
    this.#confirmed = storeOf(snapshot);
    this.#seen = new Overlay(this.#confirmed);
    this.#position = snapshot.position;
    this.#skipped = snapshot.skipped;
    this.#notUnderstood = snapshot.notUnderstood;
    this.#events.startAfter(snapshot.position);
  }

  /** The log could not keep the own proposal `n`: the view is as if it had not been made. */
  reject(n: number, error: Error): void {
    if (!this.#seen.has(n)) return;
    this.#listed = undefined;
    this.#noteChanges(this.#seen.rebase([], new Map(), n));
    this.#settle(n)?.reject(error);
    this.#deliver();
  }

  get(id: string): ServerView | undefined {
    return this.#view(this.#seen.peek(id));
  }

  /** The server that answers a failure, or is to; undefined: nobody has answered it. */
  answer(failure: string): string | undefined {
    return this.#seen.answerOf(failure);
  }

  /** Failures and the servers that answered them, the oldest first, as far as the log has them. */
  answers(): Iterable<readonly [failure: string, id: string]> {
    return this.#confirmed.answers();
  }

  /** All servers that are not gone, in no particular order, as they are now: what comes later does not change it. */
  list(): readonly ServerView[] {
    // Many look each second, and changes are few: with 10,000 servers a list takes 2 ms to make.
    this.#listed ??= [...this.#seen.records()].flatMap(record => this.#view(record) ?? []);
    return this.#listed;
  }

  /** Calls for every change of this instance's view, at once. Returns what ends it. */
  onChange(listener: ChangeListener): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /**
   * Events behind a position, in order. Undefined where some are no longer held, and for a position
   * that this list has not reached.
   */
  eventsAfter(position: number): readonly RegistryEvent[] | undefined {
    return position > this.#position ? undefined : this.#events.after(position);
  }

  /** The newest events that are still held, at most so many, oldest first. */
  lastEvents(count: number): readonly RegistryEvent[] {
    return this.#events.last(count);
  }

  /** Calls for every event, as its entry is taken in. Returns what ends it. */
  onEvent(listener: (event: RegistryEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** The instances that share the log, as it says; those that have left it are among them until they are retired. */
  instances(): readonly InstanceFact[] {
    return [...this.#confirmed.instances()];
  }

  /** Calls when an entry has changed `instances`. Returns what ends it. */
  onInstances(listener: () => void): () => void {
    this.#instanceListeners.add(listener);
    return () => this.#instanceListeners.delete(listener);
  }

  /** Sixteen hexadecimal digits of the confirmed facts: the same for all who took in the same entries. */
  digest(): string {
    return digestOf(this.#confirmed.records(), this.#confirmed.answers(), this.#confirmed.instances());
  }

  #isPending({ origin, epoch, n }: Proposal): boolean {
    return origin === this.#options.instanceId && epoch === this.#options.epoch && this.#seen.has(n);
  }

  #settle(n: number): Waiting | undefined {
    const waiting = this.#waiting.get(n);
    this.#waiting.delete(n);
    return waiting;
  }

  #view(record: ServerRecord | undefined): ServerView | undefined {
    if (record === undefined) return undefined;
    const held = this.#views.get(record.id);
    if (held?.record === record) return held.view;
    const view = viewOf(record, this.#options.instanceId);
    // One of the past is asked for once or twice, and is not held.
    if (view !== undefined && this.#seen.peek(record.id) === record)
      this.#views.set(record.id, { record, view });
    return view;
  }

  #noteChanges(befores: ReadonlyMap<string, ServerRecord | undefined>): void {
    for (const [id, record] of befores) {
      const before = this.#view(record);
      const after = this.get(id);
      if (after === undefined) this.#views.delete(id);
      if (!sameView(before, after)) this.#notices.push({ id, before, after });
    }
  }

  #noteEvents(entry: Entry, verdict: Verdict, befores: ReadonlyMap<string, ServerRecord | undefined>): void {
    const events: RegistryEvent[] = [];
    for (const [id, before] of befores) {
      events.push(...eventsOf(entry, id, this.#view(before), this.#view(this.#confirmed.get(id))));
    }
    const subject = this.#confirmed.get(subjectOf(entry.proposal.body));
    const refusal = refusalOf(entry, verdict, this.#view(subject));
    if (refusal) events.push(refusal);
    const notice = noticeOf(entry);
    if (notice) events.push(notice);
    for (const event of events) {
      this.#events.add(event);
      this.#notices.push(event);
    }
  }

  /** Hands notices out one by one; what listeners do in turn is queued behind. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#notices.length > 0) {
      const notices = this.#notices;
      this.#notices = [];
      for (const notice of notices) this.#tell(notice);
    }
    this.#delivering = false;
  }

  #tell(notice: Notice): void {
    if ('kind' in notice) {
      for (const listener of this.#eventListeners) this.#guard(() => listener(notice));
      return;
    }
    const { id, before, after } = notice;
    for (const listener of this.#changeListeners) this.#guard(() => listener(id, before, after));
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      try {
        this.#options.onError?.(error);
      } catch {
        // Who cannot take an error cannot be told of one; the state must go on.
      }
    }
  }
}

function doubtful(body: Body): Body {
  if (body.kind !== 'observe') return body;
  return { ...body, observation: { ...body.observation, doubtful: true } };
}
