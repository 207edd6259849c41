/**
 * Folds most entries of a long log without an object for each: what a server's own stream and this instance say
 * of it, registrations, observations, farewells. The rest, and every server of which more is said than that, goes
 * the way of `core/fold.ts`, which has the meaning of each kind; here it is written a second time, for rows of
 * numbers, and a test holds both against each other.
 *
 * A server is *plain* where one claim by `stream` of this log's instance holds it, or held it until it was lost, it
 * is in service, no operator has a word on it, and only this instance has seen anything of it.
 *
 *   ABSENT ──claim──> IN ──unclaim: lost──> LOST ──claim──> IN
 *                     IN ──drain by itself──> LEAVING ──claim──> IN
 *                     IN, LOST, LEAVING ──unclaim, forget, drained──> ABSENT
 *   any ──another kind of entry──> IN_STORE ──as soon as it is plain──> IN
 */
import type { Observation, Proposal } from '../core/entries.ts';
import { type Claim, type Seen, type ServerRecord, sameSpec } from '../core/record.ts';
import type { RecordStore } from '../core/store.ts';
import { Reader } from './bytes.ts';
import { QuickEntry, QuickKind } from './quick-entry.ts';
import { CAUSE_OCTETS, hashOf, ID_OCTETS, ServerRows, SPEC_OCTETS } from './server-rows.ts';
import { readSpec } from './spec-codec.ts';

/** Not in a row: its record, if there is one, is in the store. */
const IN_STORE = 0;
const IN = 1;
const LOST = 2;
/** It drains by its own word, and is gone after that. */
const LEAVING = 3;

/** Bits of `changed`: what of the row is not as in the store. */
const SPEC = 1;
const SINCE = 2;
const SEEN_SINCE = 4;
const ANY = 8;
/** There is a record of it in the store. */
const STORED = 16;

/** Bits of `seen`, with the places of phases in the format; 0: nothing was seen. */
const WARMING = 1;
const ACTIVE = 2;
const EJECTED = 3;
const PHASE = 3;
const HEALTHY = 4;
const DOUBTFUL = 8;
const PHASES: readonly Observation['phase'][] = ['warming', 'active', 'ejected'];

export class QuickFold {
  readonly #store: RecordStore;
  readonly #rows = new ServerRows();
  readonly #entry = new QuickEntry();
  readonly #reader = new Reader();
  readonly #scratch = Buffer.alloc(ID_OCTETS * 3);
  /** The instance whose words are folded here: the first one of the log. */
  #origin = '';

  constructor(store: RecordStore) {
    this.#store = store;
    this.#addRows();
  }

  /** Folds the entry whose message lies there. False: `before`, the fold, and `after` have to do it. */
  fold(bytes: Buffer, start: number, end: number): boolean {
    const entry = this.#entry;
    if (!entry.read(bytes, start, end) || entry.idOctets > ID_OCTETS) return false;
    const hash = hashOf(bytes, entry.idAt, entry.idOctets);
    let row = this.#rows.find(bytes, entry.idAt, entry.idOctets, hash);
    if (row < 0) {
      if (entry.kind !== QuickKind.CLAIM) return true;
      if (entry.specOctets > SPEC_OCTETS) return false;
      row = this.#rows.add(bytes, entry.idAt, entry.idOctets, hash);
      this.#begin(row);
      return true;
    }
    if (this.#rows.state[row] === IN_STORE && !this.#takeOut(row)) return false;
    switch (entry.kind) {
      case QuickKind.CLAIM:
        return this.#claim(row);
      case QuickKind.OBSERVE:
        return this.#observe(row);
      case QuickKind.LEFT:
        return this.#unclaim(row, false);
      case QuickKind.LOST:
        return this.#unclaim(row, true);
      case QuickKind.FORGET:
        if (this.#rows.state[row] === LOST) this.#end(row);
        return true;
      case QuickKind.DRAINED:
        if (this.#rows.state[row] === LEAVING) this.#end(row);
        return true;
      default:
        return this.#drain(row);
    }
  }

  /** Puts into the store whatever the fold of this proposal may look at. */
  before(proposal: Proposal): void {
    if (this.#origin === '' && proposal.origin !== '') {
      this.#origin = proposal.origin;
      this.#entry.origin = Buffer.from(proposal.origin);
    }
    const id = idOf(proposal);
    if (id === undefined) {
      this.settle();
      return;
    }
    this.#putBack(id);
    for (const precondition of proposal.preconditions ?? []) {
      if ('id' in precondition) this.#putBack(precondition.id);
    }
  }

  /** Goes on from what the fold of this proposal has made of the store. */
  after(proposal: Proposal): void {
    const id = idOf(proposal);
    if (id === undefined) this.#addRows();
    else if (this.#store.get(id) === undefined) this.forget(id);
    else this.#rowOf(id, true);
  }

  /** A record was dropped from the store. */
  forget(id: string): void {
    const row = this.#rowOf(id, false);
    if (row >= 0) this.#rows.remove(row);
  }

  /** Puts all that is in rows into the store. */
  settle(): void {
    const { state, top } = this.#rows;
    for (let row = 0; row < top; row++) if (state[row] !== IN_STORE) this.#settleRow(row);
  }

  // What entries do

  #begin(row: number): void {
    const rows = this.#rows;
    const { bytes, specAt, specOctets } = this.#entry;
    rows.setSpec(row, bytes, specAt, specOctets);
    rows.state[row] = IN;
    rows.changed[row] = SPEC | ANY;
    rows.version[row] = 1;
    this.#setSince(row);
  }

  #claim(row: number): boolean {
    const rows = this.#rows;
    const { bytes, specAt, specOctets, time } = this.#entry;
    if (specOctets > SPEC_OCTETS) return false;
    const state = rows.state[row] as number;
    const repeats = rows.isSpec(row, bytes, specAt, specOctets);
    const same = repeats || this.#isSameSpec(row);
    if (state !== LOST && !this.#isAddressOf(row, same)) return true;
    const wasEjected = ((rows.seen[row] as number) & PHASE) === EJECTED;
    // The octets of one that the store has are kept too, to find the next repetition by.
    const isNew = !same || state === LOST;
    if (isNew) rows.changed[row] = (rows.changed[row] as number) | SPEC;
    if (isNew || (!repeats && ((rows.changed[row] as number) & SPEC) === 0)) {
      rows.setSpec(row, bytes, specAt, specOctets);
    }
    if (state === IN && same && !wasEjected) return true;
    rows.changed[row] = (rows.changed[row] as number) | ANY;
    if (wasEjected) {
      // It has come back: what this instance had against it is over.
      rows.seen[row] = ((rows.seen[row] as number) & ~PHASE) | WARMING | HEALTHY;
      this.#setSeenSince(row);
    }
    if (state !== IN || !same) rows.version[row] = (rows.version[row] as number) + 1;
    if (state === IN) return true;
    rows.state[row] = IN;
    this.#setSince(row);
    if (rows.seen[row] !== 0) {
      rows.seen[row] = ((rows.seen[row] as number) & ~PHASE) | WARMING;
      rows.seenTime[row] = time;
      this.#setSeenSince(row);
    }
    return true;
  }

  #observe(row: number): boolean {
    const rows = this.#rows;
    const seen = this.#entry.seen;
    const old = rows.seen[row] as number;
    if (seen === old) return true;
    const phase = seen & PHASE;
    const oldPhase = old & PHASE;
    if (oldPhase === EJECTED && phase === ACTIVE) return true;
    if (oldPhase === ACTIVE && phase === WARMING) return true;
    if (phase === (oldPhase === 0 ? WARMING : oldPhase)) {
      // Without a word before it was warming since it is there.
      if (oldPhase === 0 && !this.#seenSinceChange(row)) return false;
    } else {
      this.#setSeenSince(row);
      if (phase === EJECTED && rows.state[row] === LOST) rows.seenTime[row] = this.#sinceOf(row);
    }
    rows.seen[row] = seen;
    rows.changed[row] = (rows.changed[row] as number) | ANY;
    return true;
  }

  #unclaim(row: number, isLost: boolean): boolean {
    const rows = this.#rows;
    const state = rows.state[row];
    if (state === LOST) return true;
    // Who is lost while it leaves has left.
    if (!isLost || state === LEAVING) {
      this.#end(row);
      return true;
    }
    rows.state[row] = LOST;
    this.#factsChanged(row);
    this.#setSince(row);
    return true;
  }

  #drain(row: number): boolean {
    const rows = this.#rows;
    const state = rows.state[row];
    if (state === LOST) return true;
    const since = this.#sinceOf(row);
    rows.timeoutMs[row] = this.#entry.timeoutMs;
    rows.state[row] = LEAVING;
    this.#factsChanged(row);
    this.#setSince(row);
    // A second word changes the reason, not the time since when it has drained.
    if (state === LEAVING) rows.since[row] = since;
    return true;
  }

  #end(row: number): void {
    if (((this.#rows.changed[row] as number) & STORED) !== 0)
      this.#store.put(this.#rows.idOf(row), undefined);
    this.#rows.remove(row);
  }

  // Parts of them

  #factsChanged(row: number): void {
    const rows = this.#rows;
    rows.version[row] = (rows.version[row] as number) + 1;
    rows.changed[row] = (rows.changed[row] as number) | ANY;
  }

  #setSince(row: number): void {
    const rows = this.#rows;
    const { bytes, causeAt, causeOctets, time } = this.#entry;
    rows.since[row] = time;
    rows.setCause(row, bytes, causeAt, causeOctets);
    rows.changed[row] = (rows.changed[row] as number) | SINCE;
  }

  #setSeenSince(row: number): void {
    const rows = this.#rows;
    const { bytes, causeAt, causeOctets, time } = this.#entry;
    rows.seenTime[row] = time;
    rows.setSeenCause(row, bytes, causeAt, causeOctets);
    rows.changed[row] = (rows.changed[row] as number) | SEEN_SINCE;
  }

  /** What was seen holds since the server's own last change. False: that has a cause which no row can hold. */
  #seenSinceChange(row: number): boolean {
    const rows = this.#rows;
    const changed = rows.changed[row] as number;
    if ((changed & SINCE) !== 0) rows.shareCause(row);
    else {
      const { cause } = (this.#recordOf(row) as ServerRecord).since;
      const octets = Buffer.byteLength(cause);
      if (octets > CAUSE_OCTETS) return false;
      rows.setSeenCause(row, Buffer.from(cause), 0, octets);
    }
    rows.seenTime[row] = this.#sinceOf(row);
    rows.changed[row] = changed | SEEN_SINCE;
    return true;
  }

  #sinceOf(row: number): number {
    if (((this.#rows.changed[row] as number) & SINCE) !== 0) return this.#rows.since[row] as number;
    return (this.#recordOf(row) as ServerRecord).since.time;
  }

  #isSameSpec(row: number): boolean {
    const rows = this.#rows;
    const { bytes, specAt, specOctets, addressAt, addressOctets } = this.#entry;
    if (rows.hasOtherAddress(row, bytes, addressAt, addressOctets)) return false;
    const spec = readSpec(this.#reader.open(bytes, specAt, specAt + specOctets));
    return sameSpec(this.#specOf(row), spec);
  }

  #specOf(row: number): ReturnType<typeof readSpec> {
    const rows = this.#rows;
    if (((rows.changed[row] as number) & SPEC) === 0) {
      return this.#recordOf(row)?.spec as ReturnType<typeof readSpec>;
    }
    return readSpec(rows.openSpec(row, this.#reader));
  }

  /** Whether the claim's precondition holds, where it has one. @param same the claim is as the one in force */
  #isAddressOf(row: number, same: boolean): boolean {
    const { bytes, addressAt, addressOctets, wantedAt, wantedOctets } = this.#entry;
    if (wantedAt < 0) return true;
    if (same && isSame(bytes, addressAt, addressOctets, wantedAt, wantedOctets)) return true;
    return this.#specOf(row).address === bytes.toString('utf8', wantedAt, wantedAt + wantedOctets);
  }

  // To the store and from it

  /** Makes the row of a record in the store the one that counts, where it is plain. */
  #takeOut(row: number): boolean {
    const record = this.#recordOf(row);
    if (record === undefined || !isPlain(record, this.#origin)) return false;
    const rows = this.#rows;
    const [seen] = record.seen;
    rows.state[row] = IN;
    rows.changed[row] = STORED;
    // It may be another one by now.
    rows.setSpec(row, this.#scratch, 0, 0);
    rows.version[row] = record.version;
    rows.seen[row] =
      seen === undefined
        ? 0
        : (PHASES.indexOf(seen.phase) + 1) | (seen.healthy ? HEALTHY : 0) | (seen.doubtful ? DOUBTFUL : 0);
    if (seen !== undefined) rows.seenTime[row] = seen.since.time;
    return true;
  }

  #recordOf(row: number): ServerRecord | undefined {
    return this.#store.get(this.#rows.idOf(row));
  }

  #putBack(id: string): void {
    const row = this.#rowOf(id, false);
    if (row >= 0 && this.#rows.state[row] !== IN_STORE) this.#settleRow(row);
  }

  #settleRow(row: number): void {
    const rows = this.#rows;
    const changed = rows.changed[row] as number;
    const state = rows.state[row];
    rows.state[row] = IN_STORE;
    if ((changed & ANY) === 0) return;
    const id = rows.idOf(row);
    const before = (changed & STORED) === 0 ? undefined : this.#store.get(id);
    const spec = this.#specOf(row);
    const claims: Claim[] = state === LOST ? [] : [{ source: 'stream', origin: this.#origin, spec }];
    this.#store.put(id, {
      id,
      version: rows.version[row] as number,
      claims,
      spec,
      removed: undefined,
      operatorDrain: undefined,
      weight: 0,
      inService: true,
      drain:
        state === LEAVING
          ? { by: 'backend', timeoutMs: rows.timeoutMs[row] as number, afterwards: 'remove', empty: false }
          : undefined,
      lost: state === LOST,
      since:
        (changed & SINCE) === 0
          ? (before as ServerRecord).since
          : { time: rows.since[row] as number, cause: rows.causeOf(row) },
      seen: this.#seenOf(row, before),
    });
  }

  #seenOf(row: number, before: ServerRecord | undefined): readonly Seen[] {
    const rows = this.#rows;
    const seen = rows.seen[row] as number;
    if (seen === 0) return [];
    const since =
      ((rows.changed[row] as number) & SEEN_SINCE) === 0
        ? ((before as ServerRecord).seen[0] as Seen).since
        : { time: rows.seenTime[row] as number, cause: rows.seenCauseOf(row) };
    const phase = PHASES[(seen & PHASE) - 1] as Observation['phase'];
    const mine = { origin: this.#origin, phase, healthy: (seen & HEALTHY) !== 0, since };
    return [(seen & DOUBTFUL) === 0 ? mine : { ...mine, doubtful: true }];
  }

  /** A row for every record of the store. */
  #addRows(): void {
    for (const { id } of this.#store.records()) this.#rowOf(id, true);
  }

  /** −1: there is none, and none is to be added, or its id is too long for one. */
  #rowOf(id: string, add: boolean): number {
    if (id.length > ID_OCTETS) return -1;
    const octets = this.#scratch.write(id, 0, 'utf8');
    if (octets > ID_OCTETS) return -1;
    const hash = hashOf(this.#scratch, 0, octets);
    const found = this.#rows.find(this.#scratch, 0, octets, hash);
    if (found >= 0 || !add) return found;
    const row = this.#rows.add(this.#scratch, 0, octets, hash);
    this.#rows.ids[row] = id;
    return row;
  }
}

function isPlain(record: ServerRecord, origin: string): boolean {
  const { claims, spec, seen } = record;
  const [claim] = claims;
  return (
    claim !== undefined &&
    claims.length === 1 &&
    claim.source === 'stream' &&
    claim.origin === origin &&
    spec !== undefined &&
    !spec.standby &&
    record.inService &&
    record.drain === undefined &&
    record.operatorDrain === undefined &&
    record.removed === undefined &&
    record.weight === 0 &&
    !record.lost &&
    (seen.length === 0 || (seen.length === 1 && seen[0]?.origin === origin))
  );
}

function isSame(bytes: Uint8Array, a: number, aOctets: number, b: number, bOctets: number): boolean {
  if (aOctets !== bOctets) return false;
  for (let i = 0; i < aOctets; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

/** The server that a proposal is about; empty where it is about none, undefined where about many. */
function idOf({ body }: Proposal): string | undefined {
  switch (body.kind) {
    case 'replace':
    case 'retire':
      return undefined;
    case 'claim':
      return body.spec.id;
    case 'join':
    case 'leave':
    case 'policy':
    case 'unknown':
      return '';
    default:
      return body.id;
  }
}
