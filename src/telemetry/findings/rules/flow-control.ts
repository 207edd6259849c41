import { lasts } from '../evidence.ts';
import type { Found, Rule } from '../finding.ts';
import { count } from '../words.ts';

/** The window of a connection is shared: who does not read one stream's data holds up all streams. */
export const flowControl: Rule = {
  name: 'flow-control',
  title: 'Flow control holds calls up',
  about: 'the window of a connection is used up, so that all of its calls wait for the one who does not read',
  look: ({ backends, instance }) => {
    const found: Found[] = [];
    for (const { id, figures } of backends) {
      if (!lasts(figures, 'blocked', connections => connections >= 1)) continue;
      const blocked = figures.mean('blocked');
      found.push({
        severity: 'warning',
        scope: 'backend',
        key: id,
        detail: `${id} does not read what it is sent: on ${count(blocked)} of its ${count(figures.mean('connections'))} connections all calls wait for it.`,
        advice: 'Its process is busy or stuck, or its HTTP/2 window for a connection is small: raise that.',
        figures: { connections: blocked },
      });
    }
    if (lasts(instance, 'stalledCallers', connections => connections >= 1)) {
      const stalled = instance.mean('stalledCallers');
      found.push({
        severity: 'warning',
        scope: 'instance',
        key: '',
        detail: `On ${count(stalled)} of ${count(instance.mean('connections'))} connections callers do not read what they are answered, and all their calls wait.`,
        advice:
          'A caller that takes one stream slowly needs a larger window for the connection, or a connection of its own for it.',
        figures: { connections: stalled },
      });
    }
    return found;
  },
};
