/**
 * What an entry does to the records: the one place where the meaning of each kind is written.
 *
 * `apply` is total. What cannot be done changes nothing and says why in words; so does what this
 * version does not understand. It reads and writes the store alone, and nothing in it depends on
 * positions: an own proposal does the same before and after the log has taken it, as long as no other
 * entry comes between.
 */
import { type DrainView, type ServerSpec, SOURCES, type Source } from './core.ts';
import type { Body, Observation, Proposal } from './entries.ts';
import { join, leave, notRetirable } from './instances.ts';
import { REGISTRY_LIMITS } from './limits.ts';
import { firstFailed, notAStandby } from './preconditions.ts';
import {
  type Claim,
  claimantOf,
  phaseOf,
  type Seen,
  type ServerRecord,
  seenBy,
  withClaim,
} from './record.ts';
import { begin, commit, commitSeen } from './record-life.ts';
import type { Store } from './store.ts';
import { answeredBy, done, noServer, notUnderstood, type Verdict, verdictOf } from './verdict.ts';

export function apply(store: Store, proposal: Proposal): Verdict {
  return (
    firstFailed(store, proposal.origin, proposal.preconditions ?? []) ??
    applyBody(store, proposal, proposal.body)
  );
}

function applyBody(store: Store, proposal: Proposal, body: Body): Verdict {
  switch (body.kind) {
    case 'claim':
      return verdictOf(claim(store, proposal, body.source, body.spec));
    case 'replace':
      return replace(store, proposal, body.source, body.specs);
    case 'unclaim':
      return verdictOf(unclaim(store, proposal, body.source, body.id, body.how, proposal.origin));
    case 'forget':
      return verdictOf(forget(store, proposal, body.id));
    case 'remove':
      return verdictOf(remove(store, proposal, body.id));
    case 'drain':
      return verdictOf(drain(store, proposal, body.id, { ...body, empty: false }));
    case 'undrain':
      return verdictOf(undrain(store, proposal, body.id));
    case 'drained':
      return verdictOf(drained(store, proposal, body.id));
    case 'weight':
      return verdictOf(weight(store, proposal, body.id, body.weight));
    case 'activate':
      return verdictOf(activate(store, proposal, body.id, body.failure));
    case 'answer':
      return verdictOf(answer(store, body.failure, body.id));
    case 'observe':
      return verdictOf(observe(store, proposal, body.id, body.observation));
    case 'join':
      return verdictOf(join(store, proposal, body.control, body.proxy));
    case 'leave':
      return verdictOf(leave(store, proposal));
    case 'retire':
      return verdictOf(retire(store, proposal, body.instance, body.epoch));
    case 'policy':
      return done();
    case 'unknown':
      return notUnderstood(`the kind '${body.name}'`, body.maySkip);
    default:
      return notUnderstood(`the kind '${(body as { kind: unknown }).kind}'`, false);
  }
}

function claim(store: Store, proposal: Proposal, source: Source, spec: ServerSpec): string {
  const before = store.get(spec.id);
  if (before?.removed && source !== 'operator') {
    return `${spec.id} was removed by an operator at ${wallTime(before.removed.time)}: ${before.removed.cause}`;
  }
  const origin = source === 'operator' ? '' : proposal.origin;
  const claims = withClaim(before?.claims ?? [], { source, origin, spec });
  if (claims.length > REGISTRY_LIMITS.originsPerServer) {
    return `${spec.id} has ${REGISTRY_LIMITS.originsPerServer} claims already`;
  }
  // The same again, which every reconnection says, and nothing that it would lift.
  const lifts = source === 'stream' || source === 'operator';
  if (before?.claims === claims && !before.removed && !before.lost) {
    const settled = !lifts || (before.drain?.by !== 'backend' && !before.seen.some(isEjected));
    if (settled) return '';
  }
  let after: ServerRecord = { ...(before ?? begin(spec.id)), claims, removed: undefined, lost: false };
  if (source === 'stream' && after.drain?.by === 'backend') after = { ...after, drain: undefined };
  if (lifts) after = { ...after, seen: pardoned(after, origin, proposal) };
  commit(store, before, after, proposal);
  return '';
}

const isEjected = (seen: Seen): boolean => seen.phase === 'ejected';

/** Observations once a server has come back: for one origin, or for all where it is empty. */
function pardoned(record: ServerRecord, origin: string, since: Proposal): readonly Seen[] {
  const hit = (seen: Seen): boolean => seen.phase === 'ejected' && (origin === '' || seen.origin === origin);
  if (!record.seen.some(hit)) return record.seen;
  return record.seen.map(seen =>
    hit(seen)
      ? { ...seen, phase: 'warming', healthy: true, since: { time: since.time, cause: since.cause } }
      : seen,
  );
}

function replace(store: Store, proposal: Proposal, source: Source, specs: readonly ServerSpec[]): Verdict {
  const kept = new Set(specs.map(spec => spec.id));
  const reasons: string[] = [];
  for (const id of store.claimedBy(claimantOf(source, proposal.origin))) {
    if (!kept.has(id)) unclaim(store, proposal, source, id, 'left', proposal.origin);
  }
  for (const spec of specs) {
    const why = claim(store, proposal, source, spec);
    if (why !== '') reasons.push(why);
  }
  if (reasons.length === 0) return done();
  const why = `${reasons.length} of ${specs.length} refused: ${reasons.slice(0, 8).join('; ')}`;
  return done(reasons.length > 8 ? `${why}; ...` : why);
}

function unclaim(
  store: Store,
  proposal: Proposal,
  source: Source,
  id: string,
  how: 'left' | 'lost',
  origin: string,
): string {
  const before = store.get(id);
  const claimant = claimantOf(source, origin);
  const claims = before?.claims.filter(c => claimantOf(c.source, c.origin) !== claimant) ?? [];
  if (before === undefined || claims.length === before.claims.length) {
    return `${id} is not claimed by ${source} on ${origin}`;
  }
  // Who is lost while it leaves has left. An operator's drain is no leaving: it waits for the server's return.
  const lost = claims.length === 0 && how === 'lost' && !before.removed && !before.drain;
  commit(store, before, { ...before, claims, lost }, proposal);
  return '';
}

/** Its claims are lost rather than left: that an instance is gone says nothing against a server. */
function retire(store: Store, proposal: Proposal, instance: string, epoch: number): string {
  const why = notRetirable(store, instance, epoch);
  if (why !== '') return why;
  store.setInstance(instance, undefined);
  for (const source of SOURCES) {
    if (source === 'operator') continue;
    for (const id of store.claimedBy(claimantOf(source, instance))) {
      unclaim(store, proposal, source, id, 'lost', instance);
      const record = store.get(id);
      if (record === undefined || seenBy(record, instance) === undefined) continue;
      const seen = record.seen.filter(s => s.origin !== instance);
      commit(store, record, { ...record, seen }, proposal);
    }
  }
  return '';
}

function forget(store: Store, proposal: Proposal, id: string): string {
  const before = store.get(id);
  if (before === undefined || phaseOf(before) === 'gone') return noServer(id);
  if (before.claims.length > 0) return `${id} is claimed by ${before.claims[0]?.source}`;
  commit(store, before, { ...before, lost: false }, proposal);
  return '';
}

function remove(store: Store, proposal: Proposal, id: string): string {
  const before = store.get(id);
  if (before === undefined || phaseOf(before) === 'gone') return noServer(id);
  commit(store, before, removedNow(before, proposal), proposal);
  return '';
}

function removedNow(before: ServerRecord, { time, cause }: Proposal): ServerRecord {
  return { ...before, removed: { time, cause }, operatorDrain: undefined, weight: 0, lost: false };
}

function drain(store: Store, proposal: Proposal, id: string, asked: DrainView): string {
  const before = store.get(id);
  const phase = phaseOf(before);
  if (before === undefined || phase === 'gone') return noServer(id);
  if (asked.by === 'scaling' && phase === 'draining') return `${id} is draining already`;
  if (asked.by !== 'operator' && before.lost) return `${id} is not claimed by anybody`;
  const { by, timeoutMs, afterwards } = asked;
  const order: DrainView = { by, timeoutMs, afterwards, empty: false };
  // A second order while it drains changes the reason, not the time since when it has drained.
  const since = by === 'operator' || !before.operatorDrain ? proposal.cause : before.since.cause;
  const after: ServerRecord = {
    ...before,
    ...(by === 'operator' ? { operatorDrain: order } : { drain: order }),
    since: { time: before.since.time, cause: since },
  };
  commit(store, before, after, proposal);
  return '';
}

function undrain(store: Store, proposal: Proposal, id: string): string {
  const before = store.get(id);
  if (before === undefined || !(before.removed || before.operatorDrain || before.drain)) {
    return before && phaseOf(before) !== 'gone' ? `${id} is neither draining nor removed` : noServer(id);
  }
  // Lost while it drained: there is nothing to take calls again, and it comes back as it registers.
  const after = { ...before, removed: undefined, operatorDrain: undefined, drain: undefined, lost: false };
  commit(store, before, after, proposal);
  return '';
}

function drained(store: Store, proposal: Proposal, id: string): string {
  const before = store.get(id);
  if (before === undefined || phaseOf(before) !== 'draining') return `${id} is not draining`;
  const inner = before.drain ? afterDrain(before, before.drain, proposal) : before;
  // `inner` may be gone by now, and then an operator's drain waits for its return.
  const order = phaseOf(inner) === 'draining' ? inner.operatorDrain : undefined;
  const after = order ? afterDrain(inner, order, proposal) : inner;
  if (after === before) return `${id} is known to be empty`;
  commit(store, before, after, proposal);
  return '';
}

function afterDrain(record: ServerRecord, order: DrainView, proposal: Proposal): ServerRecord {
  const mine = order.by === 'operator' ? 'operatorDrain' : 'drain';
  switch (order.afterwards) {
    case 'standby':
      return { ...record, [mine]: undefined, inService: false };
    case 'remove':
      if (order.by === 'operator') return removedNow(record, proposal);
      return withoutLeavers(record, order, proposal);
    default:
      return order.empty ? record : emptied(record, mine, order, proposal.cause);
  }
}

/** A server that drained to leave: its claims go; where another source still claims it, it stays DRAINING. */
function withoutLeavers(record: ServerRecord, order: DrainView, proposal: Proposal): ServerRecord {
  const leaves = (c: Claim): boolean =>
    order.by === 'scaling'
      ? c.source === 'stream' || c.source === 'command'
      : c.source === 'stream' && c.origin === proposal.origin;
  const claims = record.claims.filter(c => !leaves(c));
  if (claims.length === record.claims.length && order.empty) return record;
  const still = claims[0]?.source;
  const cause = still === undefined ? proposal.cause : `${proposal.cause}; ${still} still claims it`;
  return emptied({ ...record, claims }, 'drain', order, cause);
}

function emptied(
  record: ServerRecord,
  mine: 'operatorDrain' | 'drain',
  order: DrainView,
  cause: string,
): ServerRecord {
  return { ...record, [mine]: { ...order, empty: true }, since: { time: record.since.time, cause } };
}

function weight(store: Store, proposal: Proposal, id: string, value: number): string {
  const before = store.get(id);
  if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return `a weight of ${value} is not possible`;
  const takesBack = value === 0 && before !== undefined && before.weight > 0;
  if (before === undefined || (phaseOf(before) === 'gone' && !takesBack)) return noServer(id);
  commit(store, before, { ...before, weight: value }, proposal);
  return '';
}

function activate(store: Store, proposal: Proposal, id: string, failure: string | undefined): string {
  const before = store.get(id);
  const why = notAStandby(before, id, proposal.origin);
  if (before === undefined || why !== '') return why;
  if (failure !== undefined) {
    const answer = store.answer(failure);
    if (answer !== undefined) return answeredBy(failure, answer);
    store.setAnswer(failure, id);
  }
  commit(store, before, { ...before, inService: true }, proposal);
  return '';
}

function answer(store: Store, failure: string, id: string): string {
  const before = store.answer(failure);
  if (before !== undefined) return answeredBy(failure, before);
  store.setAnswer(failure, id);
  return '';
}

function observe(
  store: Store,
  proposal: Proposal,
  id: string,
  { phase, healthy, doubtful = false }: Observation,
): string {
  const before = store.get(id);
  if (before === undefined || phaseOf(before) === 'gone') return noServer(id);
  const { origin, time, cause } = proposal;
  const old = seenBy(before, origin);
  if (old?.phase === 'ejected' && phase === 'active') return `${id} is ejected: it has to warm up first`;
  if (old?.phase === 'active' && phase === 'warming') return `${id} is active: it is not warming up`;
  if (old?.phase === phase && old.healthy === healthy && (old.doubtful ?? false) === doubtful) return '';
  // Without a word before it was warming since it is there; one that is lost was ejected by that.
  let since = { time, cause };
  if (phase === (old?.phase ?? 'warming')) since = old?.since ?? before.since;
  else if (phase === 'ejected' && before.lost) since = { time: before.since.time, cause };
  const mine: Seen = doubtful
    ? { origin, phase, healthy, doubtful, since }
    : { origin, phase, healthy, since };
  // Mostly there is one instance.
  const alone = before.seen.length === (old === undefined ? 0 : 1);
  const seen = alone
    ? [mine]
    : [...before.seen.filter(s => s !== old), mine].slice(-REGISTRY_LIMITS.originsPerServer);
  commitSeen(store, before, seen);
  return '';
}

/** A wall time as people write it; the list may hold one that no calendar has. */
function wallTime(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : 'an unknown time';
}
