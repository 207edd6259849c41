/** Ties the configuration's servers to the registry: those with an address, and those that a name stands for. */
import { dnsName, parseAddress } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import type { Clock } from '../../control/clock.ts';
import type { Mesh } from '../../core/mesh.ts';
import { Discovery, type NamedServer } from '../../discovery/discovery.ts';
import type { Logger } from '../../telemetry/telemetry.ts';

export interface Sources {
  /** Resolves when names have been answered once, or have had their time. */
  ready(): Promise<void>;
  apply(config: Config): void;
  /** For `/readyz`. */
  detail(): Readonly<Record<string, unknown>>;
  stop(): void;
}

export function startSources(mesh: Mesh, clock: Clock, config: Config, logger: Logger): Sources {
  claimConfigured(mesh, config);
  const discovery = new Discovery({
    mesh,
    settings: settingsOf(config),
    names: namesOf(config),
    now: clock.now,
    log: logger,
  });
  return {
    ready: () => discovery.firstAnswers(),
    apply: next => {
      claimConfigured(mesh, next);
      discovery.configure(settingsOf(next), namesOf(next));
    },
    detail: () => {
      const unresolved = discovery.troubles();
      return Object.keys(unresolved).length === 0 ? {} : { unresolved };
    },
    stop: () => discovery.stop(),
  };
}

/** The configuration's servers are one source, which replaces its whole set at once. */
function claimConfigured(mesh: Mesh, config: Config): void {
  const specs = config.servers.filter(({ address }) => dnsName(address) === undefined);
  const body = { kind: 'replace', source: 'config', specs } as const;
  mesh.registry.propose(body, 'as the configuration says').catch(() => {});
}

function settingsOf({ discovery }: Config) {
  return { intervalMs: discovery.dnsIntervalMs, dnsServers: discovery.dnsServers };
}

function namesOf(config: Config): NamedServer[] {
  return config.servers.flatMap(spec => {
    const name = dnsName(spec.address);
    const target = name === undefined ? undefined : parseAddress(name);
    return typeof target === 'object' ? [{ ...target, spec, hasId: spec.id !== spec.address }] : [];
  });
}
