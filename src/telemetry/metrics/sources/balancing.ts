/** Tells of pools and backends. */
import type { ServerView } from '../../../core/core.ts';
import { METRIC_LIMITS } from '../../../core/limits.ts';
import type { Mesh } from '../../../core/mesh.ts';
import type { Pool, PoolCounts } from '../../../core/pool.ts';
import type { BackendGauges, TransparentProxy } from '../../../proxy/proxy.ts';
import type { History } from '../../history.ts';
import { BACKENDS, POOLS } from '../catalog/balancing.ts';
import { each } from '../each.ts';
import type { Family } from '../family.ts';
import { labels } from '../labels.ts';
import type { Lines } from '../lines.ts';
import type { Registry } from '../registry.ts';

/** Told ages of load: 1 ms to 2 min. */
const AGE_BUCKETS = 18;
const AGE_BOUNDS = Array.from({ length: AGE_BUCKETS }, (_, power) => 2 ** power / 1000);

export function tellPools(registry: Registry, mesh: Mesh, history: History): void {
  const { loads } = mesh;
  const pools = (tell: (out: Lines, pool: Pool, label: string) => void) => (out: Lines) =>
    each([...mesh.pools()].slice(0, METRIC_LIMITS.pools), pool =>
      tell(out, pool, labels({ pool: pool.service })),
    );
  registry.add(
    POOLS.backends,
    pools((out, pool, label) => {
      const counts = pool.counts();
      for (const state of Object.keys(counts) as (keyof PoolCounts)[]) {
        out.sample(`${label},state="${state.toUpperCase()}"`, counts[state]);
      }
    }),
  );
  registry.add(
    POOLS.heap,
    pools((out, pool, label) =>
      out.sample(
        label,
        pool.zones.reduce((sum, zone) => sum + zone.order.size, 0),
      ),
    ),
  );
  registry.add(
    POOLS.picks,
    pools((out, pool, label) => out.sample(label, pool.picks)),
  );
  registry.add(
    POOLS.waiting,
    pools((out, { queue }, label) => out.sample(label, queue.size)),
  );
  registry.add(
    POOLS.queue,
    pools((out, { queue }, label) => {
      out.sample(`${label},result="served"`, queue.served);
      out.sample(`${label},result="refused"`, queue.refused);
      out.sample(`${label},result="dropped"`, queue.dropped);
    }),
  );
  registry.add(
    POOLS.rootChanges,
    pools((out, pool, label) => out.sample(label, pool.rootChanges)),
  );
  // What takes a look at every member is told as the history saw it last.
  for (const [family, series, factor] of [
    [POOLS.stale, 'stale', 1],
    [POOLS.lag, 'reportLag', 1e-3],
    [POOLS.scoreLow, 'scoreLow', 1],
    [POOLS.scoreHigh, 'scoreHigh', 1],
    [POOLS.spread, 'spread', 1],
  ] as const) {
    registry.add(
      family,
      pools((out, pool, label) => out.sample(label, history.pool.last(pool.service, series) * factor)),
    );
  }
  registry.add(POOLS.pickAge, out =>
    out.histogram('', AGE_BOUNDS, loads.pickAges, loads.pickAgeSumMs / 1000),
  );
}

interface Told {
  view: ServerView;
  slot: number;
  /** What its label was made of. */
  id: string;
  /** Empty before the first family is told. */
  label: string;
}

export function tellBackends(registry: Registry, mesh: Mesh, proxy: TransparentProxy): void {
  const { loads } = mesh;
  const names = new Map<string, string>();
  /** The same objects for each scrape: one takes so long that a collection would make new ones old. */
  const told: Told[] = [];
  registry.onStart(() => {
    if (names.size > 2 * METRIC_LIMITS.backends) names.clear();
    let count = 0;
    for (const view of mesh.registry.list()) {
      if (count === METRIC_LIMITS.backends) break;
      const { id } = view.spec;
      const slot = mesh.slotOf(id);
      if (slot < 0) continue;
      const before = told[count];
      if (before === undefined) told.push({ view, slot, id, label: names.get(id) ?? '' });
      else {
        before.view = view;
        before.slot = slot;
        if (before.id !== id) before.label = names.get(id) ?? '';
        before.id = id;
      }
      count++;
    }
    if (told.length > count) told.length = count;
  });
  /** In the slices of telling: all at once it would hold up calls. */
  const name = (one: Told): void => {
    one.label = labels({ backend: one.id });
    names.set(one.id, one.label);
  };
  const add = (family: Family, tell: (out: Lines, one: Told) => void): void =>
    registry.add(family, out =>
      each(told, one => {
        if (one.label === '') name(one);
        tell(out, one);
      }),
    );
  const value = (family: Family, of: (one: Told) => number): void =>
    add(family, (out, one) => out.sample(one.label, of(one)));
  const now = () => mesh.now();
  const known = (all: Float64Array, slot: number): number => {
    const one = all[slot] as number;
    return one > 0 ? one : Number.NaN;
  };

  add(BACKENDS.state, (out, { view, label }) => out.sample(`${label},state="${view.state}"`, 1));
  add(BACKENDS.inFlight, (out, { slot, label }) => {
    out.sample(`${label},kind="relayed"`, loads.relayed(slot));
    out.sample(`${label},kind="leased"`, loads.leased(slot));
  });
  value(BACKENDS.others, ({ slot }) => Math.max(0, loads.others[slot] as number));
  value(BACKENDS.utilization, ({ slot }) => known(loads.utilization, slot));
  value(BACKENDS.rps, ({ slot }) =>
    (loads.reportTime[slot] as number) > Number.NEGATIVE_INFINITY ? (loads.rps[slot] as number) : Number.NaN,
  );
  value(BACKENDS.capacity, ({ slot }) => known(loads.capacity, slot));
  value(BACKENDS.failure, ({ slot }) => loads.failureNow(slot, now()));
  value(
    BACKENDS.score,
    ({ slot }) => (loads.membersOf(slot)[0]?.pool as Pool | undefined)?.scoreOf(slot) ?? Number.NaN,
  );
  value(BACKENDS.weight, ({ view }) => view.spec.weight);
  value(BACKENDS.reportAge, ({ slot }) => {
    const age = now() - (loads.reportTime[slot] as number);
    return age < Number.POSITIVE_INFINITY ? age / 1000 : Number.NaN;
  });
  value(BACKENDS.reportInterval, ({ slot }) => known(loads.intervalMs, slot) / 1000);
  value(BACKENDS.picks, ({ slot }) => loads.picksOf(slot));
  const gauges: BackendGauges = { connections: 0, streams: 0, full: 0, stalled: 0, waiting: 0 };
  for (const [family, name] of [
    [BACKENDS.connections, 'connections'],
    [BACKENDS.streams, 'streams'],
    [BACKENDS.full, 'full'],
    [BACKENDS.stalled, 'stalled'],
    [BACKENDS.waiting, 'waiting'],
  ] as const) {
    value(family, ({ slot }) => {
      proxy.gaugeBackend(slot, gauges);
      return gauges[name];
    });
  }
}
