import { SCORE } from '../../../core/score.ts';
import type { BackendEvidence } from '../evidence.ts';
import type { Found, Rule } from '../finding.ts';
import { list, time } from '../words.ts';

/** A jittery network delays a report by that much, ms. */
const LEAST_MS = 100;

export const staleReports: Rule = {
  name: 'stale-reports',
  title: 'Load reports overdue',
  about: `a backend that reported is silent for more than ${SCORE.staleIntervals} of its intervals`,
  look: ({ backends }) => {
    const reporting = backends.filter(
      ({ isEligible, figures }) => isEligible && figures.last('reportAge') >= 0,
    );
    const stale = reporting.filter(isStale);
    if (stale.length === 0) return [];
    if (stale.length === reporting.length && stale.length > 1) return [all(stale)];
    return stale.map(({ id, figures }): Found => {
      const age = figures.last('reportAge');
      return {
        severity: 'warning',
        scope: 'backend',
        key: id,
        detail: `${id} has not reported its load for ${time(age)}; it used to each ${time(figures.last('reportInterval'))}. Its load is guessed.`,
        advice: 'Look whether its reporter runs and reaches the control port.',
        figures: { ageMs: age, intervalMs: figures.last('reportInterval') },
      };
    });
  },
};

function isStale({ figures }: BackendEvidence): boolean {
  const interval = figures.last('reportInterval');
  return interval > 0 && figures.last('reportAge') > SCORE.staleIntervals * interval + LEAST_MS;
}

function all(stale: readonly BackendEvidence[]): Found {
  const age = Math.min(...stale.map(({ figures }) => figures.last('reportAge')));
  return {
    severity: 'critical',
    scope: 'instance',
    key: '',
    detail: `None of the ${stale.length} backends that report has done so for ${time(age)} (${list(stale.map(({ id }) => id))}).`,
    advice: 'They will not all have failed: look at the network to the control port, and at this process.',
    figures: { ageMs: age, backends: stale.length },
  };
}
