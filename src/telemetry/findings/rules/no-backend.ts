import type { Rule } from '../finding.ts';
import { list, rate } from '../words.ts';

export const noBackend: Rule = {
  name: 'no-backend',
  title: 'No backend takes calls',
  about: 'a pool has backends, and none of them takes calls',
  look: ({ pools }) =>
    pools
      .filter(({ backends }) => backends.length > 0 && backends.every(({ isEligible }) => !isEligible))
      .map(({ service, backends, figures }) => {
        // In need calls are sent to those that are ejected all the same, and fail there.
        const failed = figures.mean('errors') || 0;
        const told = backends.map(({ id, state, cause }) => `${id} is ${state} (${cause})`);
        const standby = backends.find(({ state }) => state === 'STANDBY');
        return {
          severity: failed > 0 || standby === undefined ? 'critical' : 'warning',
          scope: 'pool',
          key: service,
          detail: `No backend of ${service} takes calls${failed > 0 ? `, and ${rate(failed)} fail` : ''}: ${list(told)}.`,
          advice:
            standby === undefined
              ? 'Look at the network between here and there first, then at the backends.'
              : `\`heapmesh servers activate ${standby.id}\` brings a standby in.`,
          figures: { failed, backends: backends.length },
        } as const;
      }),
};
