import { eligible, mediansOfOthers } from '../evidence.ts';
import type { Found, Rule } from '../finding.ts';
import { calls, percent, time } from '../words.ts';

const SHARE = 0.1;
const MANY = 0.5;
/** Fewer than that are a mishap. */
const LEAST = 5;
/** Where picks keep away from it for its failures, it gets no chance of more, and few of its calls are of that time. */
const LEAST_AVOIDED = 2;

/** A backend that fails at once looks idle to who counts calls in flight alone. */
export const backendFailing: Rule = {
  name: 'backend-failing',
  title: 'Failing backend',
  about: `a backend fails more than ${percent(SHARE)} of its attempts, or is hardly picked for its failures`,
  look: ({ pools, seconds }) => {
    const found = new Map<string, Found>();
    for (const pool of pools) {
      const all = eligible(pool);
      const times = all.map(({ figures }) => figures.mean('p50'));
      const medians = mediansOfOthers(times);
      for (const [n, { id, figures }] of all.entries()) {
        const failed = figures.mean('errors') * seconds;
        const share = figures.mean('errors') / figures.mean('rps');
        const isAvoided = figures.mean('failure') >= SHARE;
        if (!(isAvoided ? Math.round(failed) >= LEAST_AVOIDED : failed >= LEAST && share >= SHARE)) continue;
        const own = times[n] as number;
        const others = medians[n] as number;
        const isFast = own * 2 < others;
        found.set(id, {
          severity: share >= MANY ? 'critical' : 'warning',
          scope: 'backend',
          key: id,
          detail: `${id} failed ${calls(Math.round(failed))} in ${Math.round(seconds)} s, ${percent(share)} of what it got${
            isFast ? `, and fails fast: in ${time(own)}, where the others take ${time(others)}` : ''
          }${isAvoided ? '; picks keep away from it' : ''}.`,
          advice: `Look at its log; \`heapmesh drain ${id}\` takes it out. heapmesh_attempts_total has its codes.`,
          figures: { failed, share },
        });
      }
    }
    return [...found.values()];
  },
};
