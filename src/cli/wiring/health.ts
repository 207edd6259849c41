/** Ties what judges servers (`core/detector.ts`) and what asks them (`health/`) to the parts that see and use them. */
import type { Config } from '../../config/config.ts';
import type { Clock } from '../../control/clock.ts';
import { ANY_SERVICE } from '../../core/core.ts';
import { Detector } from '../../core/detector.ts';
import { HEALTH_LIMITS } from '../../core/limits.ts';
import type { Mesh } from '../../core/mesh.ts';
import { PanicLevel } from '../../core/panic.ts';
import { Health, type WatchRules } from '../../health/health.ts';
import type { Reachability } from '../../proxy/proxy.ts';
import type { Logger } from '../../telemetry/telemetry.ts';

export interface HealthOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly config: Config;
  readonly logger: Logger;
  readonly parseAddress: (address: string) => { readonly host: string; readonly port: number };
  readonly onError: (error: unknown) => void;
}

/** Others that see servers, once they are there. */
interface Witnesses {
  /** When octets of an answer came from the server in a slot last, ms. */
  heardAt(slot: number): number;
  /** Whether a server has a report stream open here. */
  reports(id: string): boolean;
  /** Hears that a pool's health is ignored, or heeded again. */
  panicChanged(service: string): void;
}

/** What other parts see of it. */
export interface HealthParts {
  /** Where the proxy says what it reaches. */
  readonly reachability: Reachability;
  readonly detector: Detector;
  readonly health: Health;
  /** For `/readyz`. */
  detail(): Readonly<Record<string, unknown>>;
  listenTo(witnesses: Witnesses): void;
  apply(config: Config): void;
  stop(): void;
}

export function startHealth(options: HealthOptions): HealthParts {
  const { mesh, clock, logger } = options;
  let { config } = options;
  let rules = rulesByService(config);
  let witnesses: Witnesses | undefined;
  const detector: Detector = new Detector({
    mesh,
    rulesOf: service => rules(service),
    suspicionMs: config.health.intervalMs,
    random: Math.random,
    heardAt: slot => witnesses?.heardAt(slot) ?? Number.NEGATIVE_INFINITY,
    reports: id => witnesses?.reports(id) === true || health.streamsLoad(id),
    onAdmitted: ({ service }) => witnesses?.panicChanged(service),
    onPanic: ({ service, panicLevel }, cause) => {
      if (panicLevel === PanicLevel.CALM) logger.info(`pool ${service} is calm again: ${cause}`);
      else logger.warn(`pool ${service} is in panic: ${cause}`);
    },
    onSuspicion: (active, cause) => {
      if (active) logger.warn(`this instance suspects itself: ${cause}`);
      else logger.info(`this instance trusts itself again: ${cause}`);
    },
  });
  const health = new Health({
    mesh,
    detector,
    rulesOf: service => rules(service),
    parseAddress: options.parseAddress,
    random: Math.random,
    onError: options.onError,
  });
  const looker = setInterval(() => {
    const now = clock.now();
    detector.look(now);
    health.look(now);
  }, HEALTH_LIMITS.lookMs);
  return {
    detector,
    health,
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
    listenTo: all => {
      witnesses = all;
    },
    apply: next => {
      config = next;
      rules = rulesByService(config);
      detector.configure(config.health.intervalMs);
      health.configure();
    },
    stop: () => {
      clearInterval(looker);
      health.stop();
      detector.stop();
    },
  };
}

type Rules = WatchRules & ReturnType<ConstructorParameters<typeof Detector>[0]['rulesOf']>;

/** Rules of a service: those of its pool's entry, of the entry for all pools, or of `health`. */
function rulesByService(config: Config): (service: string) => Rules {
  const orcaIntervalMs = config.control.reportIntervalMs;
  const all = { ...config.health, orcaIntervalMs };
  const own = new Map<string, Rules>(
    config.pools.map(pool => [pool.service, pool.health ? { ...pool.health, orcaIntervalMs } : all]),
  );
  return service => own.get(service) ?? own.get(ANY_SERVICE) ?? all;
}
