import { lasts } from '../evidence.ts';
import type { Found, Rule } from '../finding.ts';
import { percent, time } from '../words.ts';

const BUSY = 0.85;
const FULL = 0.95;
const LATE_MS = 50;
const COLLECTING = 0.1;

export const balancerBusy: Rule = {
  name: 'balancer-busy',
  title: 'The balancer is held up',
  about: `the event loop of the balancer is at work ${percent(BUSY)} of the time, late by ${time(LATE_MS)}, or collects garbage`,
  look: ({ instance }) => {
    const found: Found[] = [];
    const scope = { scope: 'instance', key: '' } as const;
    if (lasts(instance, 'loopBusy', share => share >= BUSY)) {
      const busy = instance.mean('loopBusy');
      found.push({
        ...scope,
        severity: busy >= FULL ? 'critical' : 'warning',
        detail: `This balancer is at work ${percent(busy)} of the time (${percent(instance.mean('cpu'))} of a core): it is the bottleneck.`,
        advice:
          'Add an instance; callers and backends take several. `proxy.listen` with `reusePort` takes a second one on the same host.',
        figures: { busy, cpu: instance.mean('cpu') },
      });
    } else if (lasts(instance, 'loopDelay', ms => ms >= LATE_MS)) {
      const late = instance.mean('loopDelay');
      const starved = instance.mean('loopBusy') < 0.5;
      found.push({
        ...scope,
        severity: 'warning',
        detail: `The event loop of this balancer is late by ${time(late)} (p99), ${time(instance.max('loopDelayMax'))} at worst, though it works only ${percent(instance.mean('loopBusy'))} of the time.`,
        advice: starved
          ? 'Others take its core: give it one of its own (cgroup cpuset, `taskset`, a CPU request).'
          : 'Something holds it up for long: its log, and a profile (`node --cpu-prof`), say what.',
        figures: { delayMs: late, delayMaxMs: instance.max('loopDelayMax') },
      });
    }
    if (lasts(instance, 'gc', share => share >= COLLECTING)) {
      found.push({
        ...scope,
        severity: 'warning',
        detail: `This balancer spends ${percent(instance.mean('gc'))} of its time collecting garbage.`,
        advice: 'Give it more memory (`node --max-old-space-size`); many large calls in flight need it.',
        figures: { gc: instance.mean('gc'), heapUsed: instance.mean('heapUsed') },
      });
    }
    return found;
  },
};
