import { eligible, lasts, mediansOfOthers } from '../evidence.ts';
import type { Found, Rule } from '../finding.ts';
import { percent, rate, time } from '../words.ts';

const FACTOR = 2.5;
/** Below that, the difference is noise of the network, ms. */
const LEAST_MS = 2;

/** Compared with those that do the same work. */
export const backendSlow: Rule = {
  name: 'backend-slow',
  title: 'Slow backend',
  about: `a backend takes ${FACTOR} times as long for half of its calls as the others of its pool`,
  look: ({ pools }) => {
    const found: Found[] = [];
    for (const pool of pools) {
      const all = eligible(pool);
      const times = all.map(({ figures }) => figures.mean('p50'));
      const medians = mediansOfOthers(times);
      for (const [n, { id, figures }] of all.entries()) {
        const own = times[n] as number;
        const others = medians[n] as number;
        if (!(own > FACTOR * others)) continue;
        const isSlow = (value: number): boolean => value > FACTOR * others && value - others > LEAST_MS;
        if (!lasts(figures, 'p50', isSlow)) continue;
        const used = figures.mean('utilization');
        const why = used > 0.85 ? ` It uses ${percent(used)} of what it may use, which is why.` : '';
        found.push({
          severity: 'warning',
          scope: 'backend',
          key: id,
          detail: `${id} takes ${time(own)} for half of its calls of ${pool.service}, the others ${time(others)}; it still gets ${rate(figures.mean('picks'))}.${why}`,
          advice: `Look at its processor, its disk and its neighbours; \`heapmesh drain ${id}\` takes it out meanwhile.`,
          figures: { p50: own, others, picks: figures.mean('picks') },
        });
      }
    }
    return found;
  },
};
