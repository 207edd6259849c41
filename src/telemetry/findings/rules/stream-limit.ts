import { lasts } from '../evidence.ts';
import type { Found, Rule } from '../finding.ts';
import { calls, count } from '../words.ts';

export const streamLimit: Rule = {
  name: 'stream-limit',
  title: 'Stream limit reached',
  about: 'calls wait because every connection to a backend has as many streams as that allows',
  look: ({ backends }) => {
    const found: Found[] = [];
    for (const { id, figures } of backends) {
      if (!lasts(figures, 'queue', waiting => waiting >= 1)) continue;
      if (!lasts(figures, 'streamsFull', full => full >= 1)) continue;
      const connections = figures.mean('connections');
      if (figures.mean('streamsFull') < 0.8 * connections) continue;
      const waiting = figures.mean('queue');
      found.push({
        severity: 'critical',
        scope: 'backend',
        key: id,
        detail: `${calls(waiting)} wait for a stream at ${id}: its ${count(connections)} connections have ${calls(figures.mean('inFlight') - waiting)} in flight, and it allows no more.`,
        advice: 'Raise its limit of concurrent streams (SETTINGS_MAX_CONCURRENT_STREAMS), or add backends.',
        figures: { waiting, connections },
      });
    }
    return found;
  },
};
