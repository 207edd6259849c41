/**
 * A short name for the facts that an instance holds: two that have taken in the same entries have the
 * same digest. It is a sum over the records, so that the order of a map does not matter, and covers
 * neither observations nor load.
 */
import type { ServerSpec } from './core.ts';
import { hash64 } from './hash.ts';
import type { InstanceFact } from './instances.ts';
import type { ServerRecord } from './record.ts';

/** Sixteen hexadecimal digits. */
export function digestOf(
  records: Iterable<ServerRecord>,
  answers: Iterable<readonly [string, string]>,
  instances: Iterable<InstanceFact>,
): string {
  let high = 0;
  let low = 0;
  const add = (text: string): void => {
    const hash = hash64(text);
    high = (high + hash.high) >>> 0;
    low = (low + hash.low) >>> 0;
  };
  for (const record of records) add(textOf(record));
  for (const answer of answers) add(JSON.stringify(answer));
  for (const { id, epoch, control, proxy, present, since } of instances) {
    add(JSON.stringify([id, epoch, control, proxy, present, since.time, since.cause]));
  }
  return [high, low].map(lane => lane.toString(16).padStart(8, '0')).join('');
}

/** The facts of a record in one form: fields in this order, labels by name. */
function textOf(record: ServerRecord): string {
  const { id, version, claims, spec, removed, operatorDrain, weight, inService, drain, lost, since } = record;
  return JSON.stringify([
    id,
    version,
    claims.map(c => [c.source, c.origin, specOf(c.spec)]),
    spec && specOf(spec),
    removed && [removed.time, removed.cause],
    ...[operatorDrain, drain].map(d => d && [d.by, d.timeoutMs, d.afterwards, d.empty]),
    weight,
    inService,
    lost,
    [since.time, since.cause],
  ]);
}

function specOf(spec: ServerSpec): unknown[] {
  const { id, address, services, weight, zone, labels, maxConcurrency, standby } = spec;
  const byName = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return [id, address, services, weight, zone, byName, maxConcurrency, standby];
}
