import type { Rule } from '../finding.ts';
import { percent } from '../words.ts';

export const stateLog: Rule = {
  name: 'state-log',
  title: 'Changes are not kept',
  about:
    'changes of servers wait for the log, because Kafka is slow or away, or a log in files keeps none any more',
  look: ({ log, instance, seconds }) => {
    if (log.state === 'healthy') return [];
    const { why, pending } = log;
    const share = instance.share('logBehind', behind => behind > 0);
    // The step of the history that has it may not have ended.
    const since = share > 0 ? `, ${percent(share)} of the last ${Math.round(seconds)} s` : '';
    const subject = { scope: 'instance', key: '', figures: { pending, share } } as const;
    if (log.state === 'behind') {
      return [
        {
          ...subject,
          severity: 'warning',
          detail: `The log is behind${since}: ${why}. What changes here holds here, and other instances do not know of it.`,
          advice:
            'Look at the brokers of `state.brokers` and at the network to them. Nothing is lost: what waits is kept when the log answers.',
        },
      ];
    }
    return [
      {
        ...subject,
        severity: 'critical',
        detail: `Changes of servers are not kept${since}: ${why}. This instance goes on from memory, and what is new is gone at its end.`,
        advice:
          log.kind === 'file'
            ? 'Make room on the disk of `state.directory`, which is enough; where the disk failed, look at it and restart this instance.'
            : 'Restart this instance once nobody else runs under its id.',
      },
    ];
  },
};
