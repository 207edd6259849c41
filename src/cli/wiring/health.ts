/** Ties what judges servers (`core/detector.ts`, `health/`) to the parts that see and use them. */
import type { Clock } from '../../control/clock.ts';
import { Detector } from '../../core/detector.ts';
import { HEALTH_LIMITS } from '../../core/limits.ts';
import type { Mesh } from '../../core/mesh.ts';
import { OUTLIER_DEFAULTS } from '../../core/outlier.ts';
import { PanicLevel } from '../../core/panic.ts';
import type { Reachability } from '../../proxy/proxy.ts';
import type { Logger } from '../../telemetry/telemetry.ts';

export interface HealthOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What other parts see of it. */
export interface HealthParts {
  /** Where the proxy says what it reaches. */
  readonly reachability: Reachability;
  readonly detector: Detector;
  /** For `/readyz`. */
  detail(): Readonly<Record<string, unknown>>;
  /** When octets of an answer came from a server last, by who relays calls. */
  listenTo(heardAt: (slot: number) => number): void;
  stop(): void;
}

export function startHealth({ mesh, clock, logger }: HealthOptions): HealthParts {
  let heardAt = (_slot: number): number => Number.NEGATIVE_INFINITY;
  const detector = new Detector({
    mesh,
    rulesOf: () => ({ outliers: OUTLIER_DEFAULTS, panicBelow: 0.5 }),
    suspicionMs: 5_000,
    random: Math.random,
    heardAt: slot => heardAt(slot),
    reports: (_id, view) => view.sources.includes('stream'),
    onPanic: ({ service, panicLevel }, cause) => {
      if (panicLevel === PanicLevel.CALM) logger.info(`pool ${service} is calm again: ${cause}`);
      else logger.warn(`pool ${service} is in panic: ${cause}`);
    },
    onSuspicion: (active, cause) => {
      if (active) logger.warn(`this instance suspects itself: ${cause}`);
      else logger.info(`this instance trusts itself again: ${cause}`);
    },
  });
  const looker = setInterval(() => detector.look(clock.now()), HEALTH_LIMITS.lookMs);
  return {
    detector,
    reachability: {
      unreachable: (id, why) => detector.unreachable(id, `the proxy: ${why}`),
      reachable: id => detector.reachable(id, 'the proxy reaches it again'),
    },
    detail: () => {
      const panic = detector.panicking();
      return {
        ...(panic.length > 0 && { panic }),
        ...(detector.suspectsItself && { suspectsItself: true }),
      };
    },
    listenTo: heard => {
      heardAt = heard;
    },
    stop: () => {
      clearInterval(looker);
      detector.stop();
    },
  };
}
