import { eligible, lasts, type PoolEvidence, sum } from '../evidence.ts';
import type { Found, Rule } from '../finding.ts';
import { calls, count, list, percent, rate } from '../words.ts';

/** The default of `scaling.threshold`. */
const BUSY = 0.8;
const FULL = 0.95;
/** What a pool should be at once there are enough. */
const WANTED = 0.65;

export const tooFewBackends: Rule = {
  name: 'too-few-backends',
  title: 'Too few backends',
  about: `a pool uses more than ${percent(BUSY)} of what its backends may use, or has no room for calls`,
  look: ({ pools, seconds }) => pools.flatMap(pool => look(pool, seconds)),
};

function look(pool: PoolEvidence, seconds: number): readonly Found[] {
  const { service, figures } = pool;
  const all = eligible(pool);
  if (all.length === 0) return [];
  const used = figures.mean('utilization');
  const isBusy = lasts(figures, 'utilization', value => value >= BUSY);
  const limited = all.filter(
    ({ maxConcurrency, figures: own }) =>
      maxConcurrency > 0 && Math.round(own.mean('inFlight')) >= maxConcurrency,
  );
  const refused = figures.mean('refused');
  const waiting = figures.mean('queue');
  const isFull = limited.length === all.length && (refused > 0 || waiting >= 1);
  if (!isBusy && !isFull) return [];
  const says = [
    ...(isBusy ? [`its ${all.length} backends use ${percent(used)} of what they may use`] : []),
    ...(isFull
      ? [
          `each has as many calls in flight as it takes${refused > 0 ? `, and ${rate(refused)} are refused` : ''}`,
        ]
      : []),
    ...(waiting >= 1 ? [`${calls(waiting)} wait`] : []),
  ];
  // Calls that are under way times what each would be at, over what each should be at.
  const wanted = isBusy
    ? Math.max(1, Math.ceil(all.length * (used / WANTED - 1)))
    : Math.max(1, Math.ceil((all.length * refused) / Math.max(1, figures.mean('rps'))));
  return [
    {
      severity: used >= FULL || isFull ? 'critical' : 'warning',
      scope: 'pool',
      key: service,
      detail: `${service} has too few backends: for ${Math.round(seconds)} s ${list(says)}.`,
      advice: `About ${count(wanted)} more of the kind are wanted. ${how(pool)}`,
      figures: {
        utilization: used,
        refused,
        waiting,
        wanted,
        inFlight: sum(all.map(b => b.figures.mean('inFlight'))),
      },
    },
  ];
}

/** Which rule would have helped. */
function how({ backends }: PoolEvidence): string {
  const standby = backends.filter(({ state }) => state === 'STANDBY').map(({ id }) => id);
  if (standby.length > 0) {
    return `\`heapmesh servers activate ${standby[0]}\` brings one in (${list(standby)}); a scaling rule does it by itself: \`scaling: { threshold: ${BUSY}, for: 10s, provider: standby }\`.`;
  }
  const out = backends.filter(({ state }) => state === 'EJECTED').map(({ id }) => id);
  if (out.length > 0) return `${list(out)} would be there, but is ejected: \`heapmesh servers\` says why.`;
  return 'Register some with `standby: true`, and a scaling rule brings them in when they are wanted.';
}
