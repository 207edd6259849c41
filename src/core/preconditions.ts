/** What must hold before an entry is applied; a refusal names what was found instead. */
import type { Precondition } from './entries.ts';
import { phaseOf, type ServerRecord, seenBy } from './record.ts';
import type { Store } from './store.ts';
import { answeredBy, noServer, notUnderstood, refused, type Verdict, verdictOf } from './verdict.ts';

/** The refusal of the first one that does not hold; undefined where all hold. */
export function firstFailed(
  store: Store,
  origin: string,
  preconditions: readonly Precondition[],
): Verdict | undefined {
  for (const precondition of preconditions) {
    const verdict = check(store, origin, precondition);
    if (!verdict.applied) return verdict;
  }
  return undefined;
}

function check(store: Store, origin: string, precondition: Precondition): Verdict {
  switch (precondition.kind) {
    case 'version':
      return verdictOf(otherVersion(store.get(precondition.id), precondition.id, precondition.version));
    case 'address':
      return verdictOf(otherAddress(store.get(precondition.id), precondition.address));
    case 'standby':
      return verdictOf(notAStandby(store.get(precondition.id), precondition.id, origin));
    case 'unanswered': {
      const id = store.answer(precondition.failure);
      return id === undefined ? verdictOf('') : refused(answeredBy(precondition.failure, id));
    }
    case 'unknown':
      return notUnderstood(`the precondition '${precondition.name}'`, false);
    default:
      return notUnderstood(`the precondition '${(precondition as { kind: unknown }).kind}'`, false);
  }
}

function otherVersion(record: ServerRecord | undefined, id: string, expected: number): string {
  const actual = record === undefined || phaseOf(record) === 'gone' ? 0 : record.version;
  if (actual === expected) return '';
  if (actual === 0) return `${noServer(id)}; version ${expected} was expected`;
  return expected === 0 ? `${id} is already known` : `${id} is at version ${actual}, not ${expected}`;
}

function otherAddress(record: ServerRecord | undefined, address: string): string {
  // Claims beneath a removal are not in force, and the removal is the better answer.
  if (record === undefined || record.removed !== undefined) return '';
  const other = record.claims.find(claim => claim.spec.address !== address);
  if (other === undefined) return '';
  const by = other.origin === '' ? other.source : `${other.source} on ${other.origin}`;
  return `${record.id} is claimed at ${other.spec.address} by ${by}, not at ${address}`;
}

/** Why a server cannot be activated by this origin; empty where it can. */
export function notAStandby(record: ServerRecord | undefined, id: string, origin: string): string {
  const phase = phaseOf(record);
  if (record === undefined || phase === 'gone') return noServer(id);
  if (phase === 'draining') return `${id} is no standby: it is draining`;
  if (phase !== 'standby') return `${id} is no standby: it is in service already`;
  if (record.lost) return `${id} cannot be activated: nobody claims it any more`;
  const healthy = seenBy(record, origin)?.healthy ?? true;
  return healthy ? '' : `${id} cannot be activated: it is not healthy for ${origin}`;
}
