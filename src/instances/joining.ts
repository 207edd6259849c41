/**
 * An instance that shares no log begins without the servers that registered with its peers: they come as soon as
 * the peers name it to them. Callers of the proxy are better off with the others until then.
 */
import type { Clock } from '../control/control.ts';
import type { Registry } from '../core/registry.ts';

export interface ArrivalOptions {
  /** Those that are waited for, by id. */
  readonly ids: Iterable<string>;
  readonly registry: Pick<Registry, 'get' | 'onChange'>;
  readonly clock: Clock;
  /** Where some are here: time within which one more comes, or those that are missing are waited for no longer, ms. */
  readonly quietMs: number;
  /** However many still come, and where none does, ms. */
  readonly mostMs: number;
}

export interface Arrival {
  /** Resolves when all are here, or the time is over, or it was given up. */
  readonly over: Promise<void>;
  /** How many are still not here. */
  missing(): number;
  giveUp(): void;
}

export function arrival({ ids, registry, clock, quietMs, mostMs }: ArrivalOptions): Arrival {
  const missing = new Set<string>();
  let some = false;
  for (const id of ids) {
    if (registry.get(id) === undefined) missing.add(id);
    else some = true;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = (): void => {
    callOffQuiet();
    callOffMost();
    unfollow();
    resolve();
  };
  // One that has none of them could only fail calls: the peers may not have looked up its name yet.
  let callOffQuiet = some ? clock.after(quietMs, end) : () => {};
  const callOffMost = clock.after(mostMs, end);
  const unfollow = registry.onChange((id, _before, after) => {
    if (after === undefined || !missing.delete(id)) return;
    if (missing.size === 0) return end();
    callOffQuiet();
    callOffQuiet = clock.after(quietMs, end);
  });
  if (missing.size === 0) end();
  return { over: promise, missing: () => missing.size, giveUp: end };
}
