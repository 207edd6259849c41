/** A balancer as `serve` and `demo` hold it. `compose.ts` makes one of a configuration. */
import type { Config } from '../config/config.ts';

export interface Running {
  /** Where it listens, `host:port` with the port that was taken; undefined where it does not. */
  readonly addresses: { readonly proxy?: string; readonly control: string; readonly admin?: string };
  /** Resolves when it takes calls; before that it may be waiting for the servers that its peers have. */
  readonly ready: Promise<void>;
  /** Takes over what can change while running (`diff().live`); the rest is what it was started with. */
  apply(config: Config): Promise<void>;
  /** Stops taking calls, lets those in flight end within bounds, and frees everything. */
  close(): Promise<void>;
}
