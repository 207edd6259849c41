/** Notes the load of all backends in the log from time to time; calls and picks have their turn meanwhile. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../control/control.ts';
import { INSTANCE_LIMITS, STATE_LIMITS } from '../../core/limits.ts';
import { noteLoads } from '../../core/load-note.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { Log } from '../../state/log.ts';

export interface LoadNoterOptions {
  readonly log: Log;
  readonly mesh: Mesh;
  /** The instance, and this life of it. */
  readonly origin: string;
  readonly epoch: number;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

export class LoadNoter {
  readonly #options: LoadNoterOptions;
  readonly #timer: NodeJS.Timeout;
  #noting: Promise<void> | undefined;

  constructor(options: LoadNoterOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      this.#noting ??= this.#note()
        .catch(options.onError)
        .finally(() => {
          this.#noting = undefined;
        });
    }, INSTANCE_LIMITS.noteMs);
  }

  /** The last note tells what is known at the end. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#noting;
    await this.#note().catch(this.#options.onError);
  }

  async #note(): Promise<void> {
    const { log, mesh, origin, epoch, clock } = this.#options;
    const head = { origin, epoch, time: clock.wall() };
    const steps = noteLoads(mesh, head, clock.now, STATE_LIMITS.noteRows);
    for (;;) {
      const step = steps.next();
      if (step.done) {
        log.noteLoads(step.value);
        return;
      }
      await turn();
    }
  }
}
