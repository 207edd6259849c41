/** How many servers are in which state, kept as they change: to count 10,000 each second would hold up calls. */
import type { ServerState } from '../../core/core.ts';
import type { Registry } from '../../core/registry.ts';

export class StateCounts {
  readonly counts: Record<ServerState, number> = {
    STANDBY: 0,
    WARMING: 0,
    ACTIVE: 0,
    DRAINING: 0,
    EJECTED: 0,
  };

  constructor(registry: Pick<Registry, 'list' | 'onChange'>) {
    for (const { state } of registry.list()) this.counts[state]++;
    registry.onChange((_id, before, after) => {
      if (before !== undefined) this.counts[before.state]--;
      if (after !== undefined) this.counts[after.state]++;
    });
  }
}
