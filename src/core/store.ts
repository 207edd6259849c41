/** The records of the confirmed list, and the interface under which the fold sees them. */
import type { InstanceFact } from './instances.ts';
import { REGISTRY_LIMITS } from './limits.ts';
import { claimantsChanged, phaseOf, type ServerRecord } from './record.ts';

/** Where the fold reads and writes. */
export interface Store {
  get(id: string): ServerRecord | undefined;
  /** Undefined drops the record. */
  put(id: string, record: ServerRecord | undefined): void;
  /** Ids that a claimant (see `claimantOf`) claims, sorted. */
  claimedBy(claimant: string): readonly string[];
  /** The server that was activated for this failure. */
  answer(failure: string): string | undefined;
  setAnswer(failure: string, id: string): void;
  instance(id: string): InstanceFact | undefined;
  instanceCount(): number;
  /** Undefined drops it. */
  setInstance(id: string, fact: InstanceFact | undefined): void;
}

/** Names of what the fold reads or writes, so that two proposals can be told to be independent. */
export const keyOf = {
  server: (id: string): string => `s${id}`,
  claimant: (claimant: string): string => `c${claimant}`,
  answer: (failure: string): string => `f${failure}`,
  instance: (id: string): string => `i${id}`,
  /** How many there are. */
  instances: 'n',
};

/** The server that a key names; undefined where it names something else. */
export function idOfKey(key: string): string | undefined {
  return key.startsWith('s') ? key.slice(1) : undefined;
}

interface Changes {
  /** What each record was before, of those that were put. */
  readonly before: ReadonlyMap<string, ServerRecord | undefined>;
  /** Keys of all that was written. */
  readonly keys: ReadonlySet<string>;
}

export class RecordStore implements Store {
  readonly #records = new Map<string, ServerRecord>();
  /** By claimant, what it claims. */
  readonly #claimed = new Map<string, Set<string>>();
  readonly #answers = new Map<string, string>();
  readonly #instances = new Map<string, InstanceFact>();
  /** Records of an operator's words alone, the oldest first. */
  readonly #words = new Set<string>();

  /** Whether anybody asks what changed. A replay does not. */
  readonly #tracks: boolean;
  #before = new Map<string, ServerRecord | undefined>();
  #keys = new Set<string>();

  constructor(options: { readonly tracks: boolean } = { tracks: true }) {
    this.#tracks = options.tracks;
  }

  get(id: string): ServerRecord | undefined {
    return this.#records.get(id);
  }

  put(id: string, record: ServerRecord | undefined): void {
    const before = this.#records.get(id);
    if (this.#tracks) {
      if (!this.#before.has(id)) this.#before.set(id, before);
      this.#keys.add(keyOf.server(id));
    }
    if (record === undefined) this.#records.delete(id);
    else this.#records.set(id, record);
    for (const claimant of claimantsChanged(before, record)) this.#flip(claimant, id);
    if (record !== undefined && record.claims.length === 0 && phaseOf(record) === 'gone') {
      this.#words.add(id);
    } else if (this.#words.size > 0) {
      this.#words.delete(id);
    }
  }

  /** Puts an id into the set of a claimant, or takes it out. */
  #flip(claimant: string, id: string): void {
    if (this.#tracks) this.#keys.add(keyOf.claimant(claimant));
    const ids = this.#claimed.get(claimant) ?? new Set();
    if (!ids.delete(id)) ids.add(id);
    if (ids.size > 0) this.#claimed.set(claimant, ids);
    else this.#claimed.delete(claimant);
  }

  claimedBy(claimant: string): readonly string[] {
    return [...(this.#claimed.get(claimant) ?? [])].sort();
  }

  answer(failure: string): string | undefined {
    return this.#answers.get(failure);
  }

  setAnswer(failure: string, id: string): void {
    this.#keys.add(keyOf.answer(failure));
    this.#answers.set(failure, id);
  }

  instance(id: string): InstanceFact | undefined {
    return this.#instances.get(id);
  }

  instanceCount(): number {
    return this.#instances.size;
  }

  setInstance(id: string, fact: InstanceFact | undefined): void {
    this.#keys.add(keyOf.instance(id));
    const count = this.#instances.size;
    if (fact === undefined) this.#instances.delete(id);
    else this.#instances.set(id, fact);
    if (this.#instances.size !== count) this.#keys.add(keyOf.instances);
  }

  /**
   * Forgets the oldest of what is bounded; after each entry, so that all instances forget alike.
   * Returns the keys of what it forgot.
   */
  trim(): readonly string[] {
    const forgotten: string[] = [];
    for (const id of this.#words) {
      if (this.#words.size <= REGISTRY_LIMITS.operatorsWords) break;
      this.put(id, undefined);
      forgotten.push(keyOf.server(id));
    }
    for (const failure of this.#answers.keys()) {
      if (this.#answers.size <= REGISTRY_LIMITS.answers) break;
      this.#answers.delete(failure);
      this.#keys.add(keyOf.answer(failure));
      forgotten.push(keyOf.answer(failure));
    }
    return forgotten;
  }

  /** What changed since this was last asked. */
  takeChanges(): Changes {
    const changes = { before: this.#before, keys: this.#keys };
    this.#before = new Map();
    this.#keys = new Set();
    return changes;
  }

  records(): IterableIterator<ServerRecord> {
    return this.#records.values();
  }

  instances(): IterableIterator<InstanceFact> {
    return this.#instances.values();
  }

  /** Ids of records that are an operator's words alone, the oldest first. */
  words(): IterableIterator<string> {
    return this.#words.values();
  }

  /** Failure and the server that answered it, the oldest first. */
  answers(): IterableIterator<[string, string]> {
    return this.#answers.entries();
  }
}
