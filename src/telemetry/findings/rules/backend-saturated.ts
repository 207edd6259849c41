import { type BackendEvidence, lasts } from '../evidence.ts';
import type { Found, Rule } from '../finding.ts';
import { calls, percent } from '../words.ts';

const FULL = 0.9;
/** A pool above this has nowhere else to send calls to. */
const POOL_BUSY = 0.8;

/** One server is at its end, whether or not its pool is. */
export const backendSaturated: Rule = {
  name: 'backend-saturated',
  title: 'Backend saturated',
  about: `a backend reports more than ${percent(FULL)} utilization, or has as many calls in flight as it takes`,
  look: ({ pools, backends }) => {
    const found: Found[] = [];
    for (const backend of backends) {
      if (!backend.isEligible) continue;
      const { id, figures } = backend;
      const used = figures.mean('utilization');
      const inFlight = figures.mean('inFlight') + figures.mean('others');
      const isBusy = lasts(figures, 'utilization', value => value >= FULL);
      if (!isBusy && !isAtItsLimit(backend)) continue;
      const others = pools.filter(pool => pool.backends.includes(backend));
      const room = others.find(
        pool => pool.backends.length > 1 && pool.figures.mean('utilization') < POOL_BUSY,
      );
      const foreign = figures.mean('others') > figures.mean('inFlight');
      const how = isBusy
        ? `${id} uses ${percent(used)} of what it may use`
        : `${id} has ${calls(inFlight)} in flight, as many as its max_concurrency of ${backend.maxConcurrency} allows`;
      const beside =
        room === undefined
          ? ''
          : `, while ${room.service} as a whole uses ${percent(room.figures.mean('utilization'))}`;
      const whose = foreign
        ? ` Most of its calls (${calls(figures.mean('others'))} in flight) are not from here.`
        : '';
      found.push({
        severity: 'warning',
        scope: 'backend',
        key: id,
        detail: `${how}${beside}.${whose}`,
        advice:
          room === undefined
            ? 'Its pool has no room either: more backends are wanted.'
            : `Look what else runs there; \`heapmesh servers weight ${id} ${half(backend.weight)}\` sends it less.`,
        figures: { utilization: used, inFlight },
      });
    }
    return found;
  },
};

function isAtItsLimit({ maxConcurrency, figures }: BackendEvidence): boolean {
  if (maxConcurrency === 0) return false;
  const others = Math.max(0, figures.mean('others') || 0);
  return lasts(figures, 'inFlight', own => Math.round(own + others) >= maxConcurrency);
}

function half(weight: number): number {
  return Number((weight / 2).toPrecision(2));
}
