/** From a record to what one instance sees: the facts, with its own observations in them. */
import type { Advice, DrainView, ServerState, ServerView } from './core.ts';
import { type Phase, phaseOf, type Seen, type ServerRecord, type Stamp, sameSpec, seenBy } from './record.ts';

/**
 * The server as the instance `self` sees it: a pure function of the facts and of what `self` has seen.
 * Undefined where it is gone.
 */
export function viewOf(record: ServerRecord, self: string): ServerView | undefined {
  const phase = phaseOf(record);
  const { spec } = record;
  if (phase === 'gone' || spec === undefined) return undefined;
  const mine = seenBy(record, self);
  const [state, since] = effective(record, phase, mine);
  const drain = record.operatorDrain ?? record.drain;
  const advice = adviceOf(record, self);
  return {
    spec: record.weight > 0 ? { ...spec, weight: record.weight } : spec,
    state,
    cause: since.cause,
    stateTime: since.time,
    sources: [...new Set(record.claims.map(c => c.source))],
    healthy: !record.lost && (mine?.healthy ?? true),
    weightOverridden: record.weight > 0,
    version: record.version,
    ...(drain && { drain }),
    ...(advice.length > 0 && { advice }),
  };
}

function effective(record: ServerRecord, phase: Phase, mine: Seen | undefined): [ServerState, Stamp] {
  if (phase === 'draining') return ['DRAINING', record.since];
  if (phase === 'standby') return ['STANDBY', record.since];
  if (mine?.phase === 'ejected') return ['EJECTED', mine.since];
  if (phase === 'lost') return ['EJECTED', record.since];
  if (mine === undefined) return ['WARMING', record.since];
  return [mine.phase === 'active' ? 'ACTIVE' : 'WARMING', mine.since];
}

function adviceOf(record: ServerRecord, self: string): Advice[] {
  const advice: Advice[] = [];
  for (const { origin, phase, since, doubtful } of record.seen) {
    if (phase === 'ejected' && origin !== self && !doubtful) advice.push({ instanceId: origin, ...since });
  }
  return advice;
}

/** Whether two views tell the same. */
export function sameView(a: ServerView | undefined, b: ServerView | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  return (
    a.state === b.state &&
    a.cause === b.cause &&
    a.stateTime === b.stateTime &&
    a.version === b.version &&
    a.healthy === b.healthy &&
    a.weightOverridden === b.weightOverridden &&
    sameSpec(a.spec, b.spec) &&
    sameNames(a.sources, b.sources) &&
    sameDrain(a.drain, b.drain) &&
    sameAdvice(a.advice, b.advice)
  );
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}

function sameDrain(a: DrainView | undefined, b: DrainView | undefined): boolean {
  return (
    a?.by === b?.by &&
    a?.timeoutMs === b?.timeoutMs &&
    a?.afterwards === b?.afterwards &&
    a?.empty === b?.empty
  );
}

function sameAdvice(a: readonly Advice[] = [], b: readonly Advice[] = []): boolean {
  return (
    a.length === b.length &&
    a.every(({ instanceId, cause, time }, i) => {
      const other = b[i];
      return other?.instanceId === instanceId && other.cause === cause && other.time === time;
    })
  );
}
