/** All pools, each with its figures: where one begins to look when there are several. */
import { count, duration, number, percent } from '../format.ts';
import { Bar } from '../parts/bar.tsx';
import { Panel } from '../parts/panel.tsx';
import type { Store } from '../store.ts';

interface PoolsProps {
  readonly store: Store;
  readonly onPool: (service: string) => void;
}

export function Pools({ store, onPool }: PoolsProps) {
  const pools = [...store.pools.values()].sort((a, b) => (a.service < b.service ? -1 : 1));
  return (
    <Panel
      title="Pools"
      class="heap"
      tools={pools.length > 0 && <span class="muted">choose one for its heap</span>}
    >
      {pools.length === 0 ? (
        <p class="empty">
          {store.complete ? (
            <>
              No server is known yet. Servers register themselves with the backend SDK, or stand in{' '}
              <code>servers:</code> of the configuration
              {store.settings.writes ? ', or are added below.' : '.'}
            </>
          ) : (
            'Waiting for the balancer…'
          )}
        </p>
      ) : (
        <div class="pool-list">
          <div class="pool-row head" aria-hidden="true">
            <span>Service</span>
            <span class="wide">Servers</span>
            <span class="end">Calls/s</span>
            <span class="end wide">Failed</span>
            <span class="end">p99</span>
            <span class="wide">Utilization</span>
          </div>
          {pools.map(pool => {
            const { service, active, warming, standby, draining, ejected, rps, errors, p99, utilization } =
              pool;
            const taking = active + warming;
            const all = taking + standby + draining + ejected;
            const failed = rps !== null && rps > 0 ? (errors ?? 0) / rps : null;
            return (
              <button key={service} type="button" class="pool-row" onClick={() => onPool(service)}>
                <span class="mono clip" title={service}>
                  {service === '*' ? '* (every service)' : service}
                </span>
                <span class="wide">
                  {count(taking)} of {count(all)}
                  {ejected > 0 && <span class="bad"> · {count(ejected)} ejected</span>}
                </span>
                <span class="end">{number(rps)}</span>
                <span class={`end wide ${(failed ?? 0) > 0.01 ? 'bad' : 'muted'}`}>{percent(failed)}</span>
                <span class="end">{duration(p99)}</span>
                <span class="wide">
                  <Bar value={utilization} />
                </span>
              </button>
            );
          })}
        </div>
      )}
    </Panel>
  );
}
