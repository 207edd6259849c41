/** What `start()` waits for. */
import { Status } from '../grpc/status.ts';
import type { StartOptions } from './backend.ts';
import { ReporterError } from './error.ts';
import type { Link } from './link.ts';
import { milliseconds } from './options.ts';
import { later } from './timers.ts';

export class StartWait {
  readonly promise: Promise<void>;
  readonly #links: () => readonly Link[];
  readonly #until: 'one' | 'all' | 'none';
  readonly #resolve: () => void;
  readonly #reject: (error: ReporterError) => void;
  readonly #timer: NodeJS.Timeout | undefined;

  /** `links` are those of the options. Throws `ReporterError` (`invalid-options`). */
  constructor(options: StartOptions, links: () => readonly Link[]) {
    const timeoutMs = milliseconds(options.timeoutMs, 'timeoutMs', Number.POSITIVE_INFINITY);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#links = links;
    this.#until = options.until ?? 'one';
    this.#timer = later(timeoutMs, () => {
      this.fail(new ReporterError('timeout', `no registration within ${timeoutMs} ms: ${this.#why()}`));
    });
    if (this.#until === 'none') this.#succeed();
  }

  /** To be called when a link has got an answer or has failed. */
  check(): void {
    const links = this.#links();
    const taken = links.filter(link => link.phase === 'registered' || link.phase === 'asleep');
    if (taken.length > 0 && (this.#until === 'one' || taken.length === links.length)) this.#succeed();
    // An id that is taken comes free when its owner has gone; what is wrong in itself stays wrong.
    const hopeless = links.every(link => link.refused && link.lastError?.code !== Status.ALREADY_EXISTS);
    if (hopeless) this.fail(new ReporterError('refused', `every balancer refuses: ${this.#why()}`));
  }

  fail(error: ReporterError): void {
    clearTimeout(this.#timer);
    this.#reject(error);
  }

  #succeed(): void {
    clearTimeout(this.#timer);
    this.#resolve();
  }

  #why(): string {
    const reasons = this.#links().map(
      link => `${link.address}: ${link.lastError?.message ?? 'no answer yet'}`,
    );
    return reasons.join('; ');
  }
}
