/**
 * How a record changes from one phase to the next. Every change of the fold goes through `commit`, so
 * that what a phase entails (what ends with a life, who warms up anew, since when) is decided once.
 */
import type { Proposal } from './entries.ts';
import { phaseOf, type Seen, type ServerRecord } from './record.ts';
import type { Store } from './store.ts';

/** A record of nothing yet. */
export function begin(id: string): ServerRecord {
  return {
    id,
    version: 0,
    claims: [],
    spec: undefined,
    removed: undefined,
    operatorDrain: undefined,
    weight: 0,
    inService: false,
    drain: undefined,
    lost: false,
    since: { time: 0, cause: '' },
    seen: [],
  };
}

/**
 * Puts `wanted` in the place of `before`, with what follows from the change: the spec in force, the
 * end or the beginning of a life, `since`, observations that no longer hold, the version. Writes
 * nothing where nothing changed.
 */
export function commit(
  store: Store,
  before: ServerRecord | undefined,
  wanted: ServerRecord,
  proposal: Proposal,
): void {
  const after = lived(before, wanted, proposal);
  const factsChanged = before === undefined || !sameFacts(before, after);
  if (!factsChanged && before.seen === after.seen) return;
  store.put(
    wanted.id,
    isEmpty(after) ? undefined : { ...after, version: after.version + (factsChanged ? 1 : 0) },
  );
}

/** New observations of a server that is there: they move nothing else. */
export function commitSeen(store: Store, before: ServerRecord, seen: readonly Seen[]): void {
  store.put(before.id, { ...before, seen });
}

function lived(before: ServerRecord | undefined, wanted: ServerRecord, proposal: Proposal): ServerRecord {
  const spec = wanted.claims[0]?.spec ?? (wanted.lost ? wanted.spec : undefined);
  const was = phaseOf(before);
  const since = { time: proposal.time, cause: proposal.cause };
  if (phaseOf(wanted) === 'gone') {
    const kept = was === 'gone' && before ? before.since : since;
    const seen = before?.seen.length === 0 ? before.seen : [];
    return { ...wanted, spec, seen, since: kept, drain: undefined, lost: false, inService: false };
  }
  // Whether a server waits is decided as it begins; a claim that says `standby` later does not pull it
  // out of service, one that stops saying it puts it there.
  const joins = was === 'gone' ? !spec?.standby : Boolean(before?.spec?.standby) && !spec?.standby;
  const next = { ...wanted, spec, inService: wanted.inService || joins };
  const is = phaseOf(next);
  return {
    ...next,
    since: was === is ? wanted.since : since,
    seen: is === 'in' && was !== 'in' ? rewarmed(next.seen, was === 'lost', since) : next.seen,
  };
}

/**
 * Observations of a server that takes calls again: it warms up for everyone. One that was lost and is
 * claimed again has answered nobody yet, so that who had ejected it before keeps to that.
 */
function rewarmed(seen: readonly Seen[], keepEjected: boolean, since: Seen['since']): readonly Seen[] {
  if (seen.length === 0) return seen;
  return seen.map(s => (keepEjected && s.phase === 'ejected' ? s : { ...s, phase: 'warming', since }));
}

function sameFacts(a: ServerRecord, b: ServerRecord): boolean {
  return (
    a.claims === b.claims &&
    a.spec === b.spec &&
    a.removed === b.removed &&
    a.operatorDrain === b.operatorDrain &&
    a.weight === b.weight &&
    a.inService === b.inService &&
    a.drain === b.drain &&
    a.lost === b.lost &&
    a.since === b.since
  );
}

/** Neither claimed nor spoken of by an operator. */
function isEmpty(record: ServerRecord): boolean {
  return (
    phaseOf(record) === 'gone' &&
    record.claims.length === 0 &&
    record.weight === 0 &&
    record.removed === undefined &&
    record.operatorDrain === undefined
  );
}
