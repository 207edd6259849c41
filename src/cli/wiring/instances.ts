/** Who the instances of this mesh are: this one, and those that are its peers or share its log. */
import type { Config } from '../../config/config.ts';
import type { Clock, InstanceDirectory } from '../../control/control.ts';
import { type Others, Peers } from '../../instances/instances.ts';
import type { Logger } from '../../telemetry/telemetry.ts';

export interface InstancesPart {
  /** Control addresses of all that are alive, this one's first. */
  addresses(own: string): readonly string[];
  directory(): InstanceDirectory;
  /** To be called once the own addresses are known. */
  start(own: { readonly control: string; readonly proxy: string }, onChange: () => void): void;
  apply(config: Config): void;
  close(): void;
}

export function instancesPart(
  config: Config,
  options: { readonly clock: Clock; readonly logger: Logger },
): InstancesPart {
  const { clock, logger } = options;
  const { id, advertise } = config.instance;
  let own = { control: advertise.control ?? '', proxy: advertise.proxy ?? '' };
  let others: Others | undefined;
  let peers: Peers | undefined;
  const alive = () => (others?.list() ?? []).filter(one => one.alive);
  return {
    addresses: control => [control, ...alive().map(one => one.control)],
    directory: () => ({
      sharedLog: false,
      instances: [{ id, ...own, alive: true }, ...(others?.list() ?? [])],
    }),
    start(listening, onChange) {
      own = {
        control: advertise.control ?? listening.control,
        proxy: advertise.proxy ?? listening.proxy,
      };
      if (config.instance.peers.length === 0) return;
      peers = new Peers({
        id,
        peers: config.instance.peers,
        clock,
        onChange() {
          const names = alive().map(one => one.id || one.control);
          logger.info(`instances beside this one: ${names.join(', ') || 'none that answers'}`);
          onChange();
        },
        onNote: text => logger.warn(text),
      });
      others = peers;
    },
    apply: next => peers?.configure(next.instance.peers),
    close: () => others?.close(),
  };
}
