/**
 * What the registry keeps of one server. Records are immutable and plain data: a change makes a new
 * one, so that a view of the confirmed list and one with own pending proposals can share the rest.
 *
 *   operator's words   removed, drain, weight      stay while the server is gone
 *   claims             who says that it exists     hold it in being
 *   this life          in service, drain, lost     end when it is gone
 *   observations       filed under their origin    end when it is gone; no facts
 */
import { type DrainView, type ServerSpec, SOURCES, type Source } from './core.ts';

/** When and why, from the proposal that did it. */
export interface Stamp {
  readonly time: number;
  readonly cause: string;
}

export interface Claim {
  readonly source: Source;
  /** The instance that brought it; empty for operators, who share one claim. */
  readonly origin: string;
  readonly spec: ServerSpec;
}

export interface Seen {
  readonly origin: string;
  readonly phase: 'warming' | 'active' | 'ejected';
  readonly healthy: boolean;
  /** Made by an origin that suspected itself: no advice. Absent where it did not. */
  readonly doubtful?: boolean;
  /** Of the change into this phase. */
  readonly since: Stamp;
}

export interface ServerRecord {
  readonly id: string;
  /** Counts changes of everything but `seen`. */
  readonly version: number;
  /** Strongest source first, the newest first among equals: the first one is in force. */
  readonly claims: readonly Claim[];
  /** The claim in force, or the last one of a server that is lost; undefined where there is neither. */
  readonly spec: ServerSpec | undefined;

  readonly removed: Stamp | undefined;
  readonly operatorDrain: DrainView | undefined;
  /** 0 is none. */
  readonly weight: number;

  /** False for a standby that waits. `standby` in a claim says how a server joins, so it is read once. */
  readonly inService: boolean;
  /** A drain by the backend itself or by scaling. */
  readonly drain: DrainView | undefined;
  /** Nobody claims it any more, but it did not say that it leaves. */
  readonly lost: boolean;
  /** Of the change into its present phase. */
  readonly since: Stamp;

  /** At most one for each origin, the one that spoke last at the end. */
  readonly seen: readonly Seen[];
}

/** Where a server stands by the facts alone; `in` is WARMING, ACTIVE or EJECTED by what an instance has seen. */
export type Phase = 'gone' | 'draining' | 'standby' | 'lost' | 'in';

export function phaseOf(record: ServerRecord | undefined): Phase {
  if (record === undefined || record.removed !== undefined) return 'gone';
  if (record.claims.length === 0 && !record.lost) return 'gone';
  if (record.operatorDrain !== undefined || record.drain !== undefined) return 'draining';
  if (!record.inService) return 'standby';
  return record.lost ? 'lost' : 'in';
}

/** One name for each claimant: what `replace` replaces. No source has a space in its name. */
export function claimantOf(source: Source, origin: string): string {
  return source === 'operator' ? source : `${source} ${origin}`;
}

const NOBODY: readonly string[] = [];

/** Claimants that claim one of the two and not the other. */
export function claimantsChanged(a: ServerRecord | undefined, b: ServerRecord | undefined): Iterable<string> {
  if (a?.claims === b?.claims) return NOBODY;
  const changed = new Set(a?.claims.map(c => claimantOf(c.source, c.origin)));
  for (const { source, origin } of b?.claims ?? []) {
    const claimant = claimantOf(source, origin);
    if (!changed.delete(claimant)) changed.add(claimant);
  }
  return changed;
}

/** The claims with one put in, as the newest of its source. The same array where nothing changes. */
export function withClaim(claims: readonly Claim[], claim: Claim): readonly Claim[] {
  const at = claims.findIndex(c => c.source === claim.source);
  const first = at < 0 ? undefined : claims[at];
  if (first?.origin === claim.origin && sameSpec(first.spec, claim.spec)) return claims;
  const strength = SOURCES.indexOf(claim.source);
  const others = claims.filter(c => c.source !== claim.source || c.origin !== claim.origin);
  const place = others.findIndex(c => SOURCES.indexOf(c.source) >= strength);
  return others.toSpliced(place < 0 ? others.length : place, 0, claim);
}

export function sameSpec(a: ServerSpec, b: ServerSpec): boolean {
  if (a === b) return true;
  return (
    a.id === b.id &&
    a.address === b.address &&
    a.weight === b.weight &&
    a.zone === b.zone &&
    a.maxConcurrency === b.maxConcurrency &&
    a.standby === b.standby &&
    sameList(a.services, b.services) &&
    sameLabels(a.labels, b.labels)
  );
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function sameLabels(a: ServerSpec['labels'], b: ServerSpec['labels']): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every(k => Object.hasOwn(b, k) && a[k] === b[k]);
}

export function seenBy(record: ServerRecord, origin: string): Seen | undefined {
  return record.seen.find(s => s.origin === origin);
}
