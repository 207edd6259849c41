import { eligible, type PoolEvidence, sum } from '../evidence.ts';
import type { Found, Rule } from '../finding.ts';
import { calls, count } from '../words.ts';

/** Calls in flight of the busiest over its share. */
const UNEVEN = 2;
/** Calls that it has more than its share. */
const LEAST = 4;

/** A call stays where it began: streams that were opened early keep newcomers idle. */
export const pinnedStreams: Rule = {
  name: 'pinned-streams',
  title: 'Streams stay where they were opened',
  about: `streams stay open and few begin, and one backend has ${UNEVEN} times its share of them`,
  look: ({ pools, seconds }) => pools.flatMap(pool => look(pool, seconds)),
};

function look(pool: PoolEvidence, seconds: number): readonly Found[] {
  const all = eligible(pool);
  if (all.length < 2) return [];
  const open = sum(all.map(({ figures }) => figures.mean('inFlight')));
  const begun = sum(all.map(({ figures }) => figures.mean('picks'))) * seconds;
  if (begun * 2 > open) return [];
  const weights = sum(all.map(({ weight }) => weight));
  const busiest = all.reduce((a, b) =>
    b.figures.mean('inFlight') / b.weight > a.figures.mean('inFlight') / a.weight ? b : a,
  );
  const own = busiest.figures.mean('inFlight');
  const fair = (open * busiest.weight) / weights;
  if (own < UNEVEN * fair && own - fair < 2 * LEAST) return [];
  if (own < 1.5 * fair || own - fair < LEAST) return [];
  return [
    {
      severity: 'warning',
      scope: 'pool',
      key: pool.service,
      detail: `${calls(own)} of the ${count(open)} that are open for ${pool.service} are at ${busiest.id}, whose share would be ${count(fair)}. Only ${calls(begun)} began in ${Math.round(seconds)} s: streams stay where they were opened.`,
      advice:
        'Set `pools[].maxStreamAge`, such as 10m: callers open their streams anew then, where there is room.',
      figures: { own, fair, open, begun },
    },
  ];
}
