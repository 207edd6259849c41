/** Who the instances of this mesh are: this one, and those that are its peers or share its log. */
import type { Config } from '../../config/config.ts';
import type { Clock, InstanceDirectory } from '../../control/control.ts';
import { INSTANCE_LIMITS } from '../../core/limits.ts';
import type { Mesh } from '../../core/mesh.ts';
import { type Arrival, arrival, type Others, Peers, Roster } from '../../instances/instances.ts';
import type { Logger } from '../../telemetry/telemetry.ts';
import type { StatePart } from './state.ts';

export interface InstancesPart {
  /** Control addresses of all that are alive, this one's first. */
  addresses(own: string): readonly string[];
  directory(): InstanceDirectory;
  /** To be called once the control API listens. `proxy`: where calls are taken, or will be; empty as long as nobody knows. */
  start(own: { readonly control: string; readonly proxy: () => string }, on: InstancesListener): void;
  /** Whether calls are to be taken only when it has `joined`. */
  readonly joins: boolean;
  /**
   * Resolves when the servers that registered with the peers are here too, as far as they come; at once where there are
   * no peers or none of them has any. To be called once, after `start`.
   */
  joined(): Promise<void>;
  /** Servers that `joined` still waits for. */
  awaited(): number;
  apply(config: Config): void;
  /** Says farewell where others hear it. */
  leave(): Promise<void>;
  close(): void;
}

interface InstancesListener {
  /** Somebody came or went. */
  changed(): void;
  /** What this instance claims has to be claimed again. */
  reclaim(): void;
}

interface Surroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly mesh: Mesh;
  readonly state: StatePart;
}

export function instancesPart(config: Config, { clock, logger, mesh, state }: Surroundings): InstancesPart {
  const { id, advertise } = config.instance;
  const { shared } = state;
  let own = { control: advertise.control ?? '', proxy: () => advertise.proxy ?? '' };
  let arriving: Arrival | undefined;
  let isClosed = false;
  let peers: Peers | undefined;
  let roster: Roster | undefined;
  const others = (): Others | undefined => roster ?? peers;
  const alive = () => (others()?.list() ?? []).filter(one => one.alive);
  return {
    joins: shared === undefined && config.instance.peers.length > 0,
    addresses: control => [control, ...alive().map(one => one.control)],
    directory: () => ({
      sharedLog: shared !== undefined,
      instances: [{ id, control: own.control, proxy: own.proxy(), alive: true }, ...(others()?.list() ?? [])],
    }),
    start(listening, on) {
      own = {
        control: advertise.control ?? listening.control,
        proxy: () => advertise.proxy ?? listening.proxy(),
      };
      const onChange = () => {
        const names = alive().map(one => one.id || one.control);
        logger.info(`instances beside this one: ${names.join(', ') || 'none that answers'}`);
        on.changed();
      };
      if (shared !== undefined) {
        roster = new Roster({
          id,
          epoch: state.epoch,
          registry: mesh.registry,
          clock,
          own: { control: own.control, proxy: own.proxy() },
          logAnswers: () => shared.status().state === 'healthy',
          onChange,
          onRetired() {
            logger.warn('the other instances took this one for gone: it joins again');
            on.reclaim();
          },
        });
        shared.onHeard(instance => roster?.heard(instance));
      } else if (config.instance.peers.length > 0) {
        const { peers: addresses } = config.instance;
        peers = new Peers({ id, peers: addresses, clock, onChange, onNote: text => logger.warn(text) });
      }
    },
    async joined() {
      const ids = (await peers?.registered()) ?? [];
      if (isClosed) return;
      const { joinQuietMs: quietMs, joinMostMs: mostMs } = INSTANCE_LIMITS;
      arriving = arrival({ ids, registry: mesh.registry, clock, quietMs, mostMs });
      const missing = arriving.missing();
      if (missing > 0)
        logger.info(`takes calls when ${missing} servers of its peers have registered here too`);
      await arriving.over;
      const left = arriving.missing();
      if (left > 0 && !isClosed)
        logger.warn(`takes calls without ${left} of its peers' servers: they have not registered here`);
    },
    awaited: () => arriving?.missing() ?? 0,
    apply: next => peers?.configure(next.instance.peers),
    leave: async () => roster?.leave(),
    close() {
      isClosed = true;
      arriving?.giveUp();
      others()?.close();
    },
  };
}
