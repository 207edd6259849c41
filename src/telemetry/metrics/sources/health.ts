/** Tells of health: checks, ejections, panic, self-suspicion, and load that was asked for. */
import type { Detector } from '../../../core/detector.ts';
import { METRIC_LIMITS } from '../../../core/limits.ts';
import type { Mesh } from '../../../core/mesh.ts';
import type { Health } from '../../../health/health.ts';
import { HEALTH } from '../catalog/health.ts';
import { each } from '../each.ts';
import type { Family } from '../family.ts';
import { labels } from '../labels.ts';
import type { Registry } from '../registry.ts';

export function tellHealth(registry: Registry, mesh: Mesh, detector: Detector, health: Health): void {
  const { counters } = detector;
  const checks = health.counters;
  const one = (family: Family, of: () => number): void => registry.add(family, out => out.add(of()));
  registry.add(HEALTH.checks, out => {
    for (const result of ['serving', 'alive', 'failing', 'dead'] as const) out.add(checks[result], result);
  });
  registry.add(HEALTH.ejections, out => {
    out.add(counters.outliers, 'outlier');
    out.add(counters.hung, 'hung');
    out.add(counters.failedChecks, 'checks');
    out.add(counters.unreachable, 'unreachable');
  });
  one(HEALTH.returns, () => counters.returned);
  one(HEALTH.outliers, () => detector.outliers);
  one(HEALTH.checked, () => health.gauges().servers);
  one(HEALTH.underWay, () => health.gauges().checking);
  registry.add(HEALTH.panic, out =>
    each([...mesh.pools()].slice(0, METRIC_LIMITS.pools), pool =>
      out.sample(labels({ pool: pool.service }), pool.panicLevel),
    ),
  );
  one(HEALTH.panics, () => counters.panics);
  one(HEALTH.suspects, () => (detector.suspectsItself ? 1 : 0));
  one(HEALTH.suspicions, () => counters.suspicions);
  one(HEALTH.loadStreams, () => health.gauges().loadStreams);
  one(HEALTH.loads, () => checks.loads);
}
