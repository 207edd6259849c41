/** Changes that leave their numbers in the facts: what a log holds of one instance's changes can be read off its servers. */
import assert from 'node:assert/strict';
import type { Registry } from '../../src/core/registry.ts';

/** Servers that an instance changes in turn. */
const SERVERS = 7;

export function serverOf(instance: string, n: number): string {
  return `${instance}-s${n % SERVERS}`;
}

/** The last of an instance's changes. Throws where those before it are not there too, in their order. */
export function highestOf(registry: Registry, instance: string): number {
  const held = Array.from(
    { length: SERVERS },
    (_, i) => registry.get(serverOf(instance, i))?.spec.weight ?? 0,
  );
  const highest = Math.max(...held);
  for (const [i, weight] of held.entries()) {
    const last = highest - ((((highest - i) % SERVERS) + SERVERS) % SERVERS);
    assert.equal(
      weight,
      Math.max(0, last),
      `change ${highest} of ${instance} is there, and of its servers: ${held}`,
    );
  }
  return highest;
}
