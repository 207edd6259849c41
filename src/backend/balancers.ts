/** All balancers that this backend reports to: those of the options, and those that they name. */
import { REPORTER_LIMITS } from '../core/limits.ts';
import { Link, type LinkContext } from './link.ts';
import type { ReporterLogger } from './options.ts';

export class Balancers {
  readonly #links = new Map<string, Link>();
  readonly #context: LinkContext;
  readonly #logger: ReporterLogger;
  #leaving = false;
  /** What balancers named when this was last looked at. */
  #named: ReadonlySet<string> = new Set();

  constructor(configured: readonly string[], context: LinkContext, logger: ReporterLogger) {
    this.#context = context;
    this.#logger = logger;
    for (const address of configured) this.#links.set(address, new Link(address, true, context));
  }

  [Symbol.iterator](): IterableIterator<Link> {
    return this.#links.values();
  }

  connect(): void {
    for (const link of this.#links.values()) link.connect();
  }

  leave(timeoutMs: number): void {
    this.#leaving = true;
    for (const link of [...this.#links.values()]) link.leave(timeoutMs);
  }

  close(farewell: boolean): void {
    this.#leaving = true;
    for (const link of [...this.#links.values()]) link.close(farewell);
  }

  /** To be called with every answer to a registration. */
  registered(link: Link): void {
    if (this.#leaving) return;
    this.#silenceOthers(link);
    this.#learn();
  }

  /** To be called when a link has lost its balancer: another address may still lead to the instance. */
  lost(link: Link): void {
    if (this.#leaving) return;
    for (const other of this.#links.values()) {
      if (other.phase === 'asleep' && sameInstance(other, link)) other.connect();
    }
  }

  /**
   * A balancer keeps one stream a backend, the latest. Two addresses that lead to one instance would
   * take it from each other for ever, so all but the latest sleep until that one is lost.
   */
  #silenceOthers(link: Link): void {
    for (const other of this.#links.values()) {
      if (other !== link && sameInstance(other, link)) other.sleep();
    }
  }

  /** Reports to every address that a balancer now in touch names, and to no other but the configured ones. */
  #learn(): void {
    const named = new Set<string>();
    for (const link of this.#links.values()) {
      if (link.phase !== 'registered') continue;
      for (const address of link.answer?.controlAddresses ?? []) named.add(address);
    }
    for (const [address, link] of this.#links) {
      if (link.configured || named.has(address)) continue;
      this.#links.delete(address);
      // Without a farewell: this backend has not left the mesh, that balancer has.
      link.close(false);
      this.#logger.info(`heapmesh: balancer ${address} is not named any more; no more reports to it`);
    }
    const before = this.#named;
    this.#named = named;
    for (const address of named) {
      const known = this.#links.get(address);
      // A balancer that was gone and is named again is back: its back-off would keep it waiting.
      if (known?.phase === 'waiting' && !known.refused && !before.has(address)) known.connect();
      if (known !== undefined) continue;
      if (!/^[^\s:]+:\d+$|^\[[^\]\s]+\]:\d+$/.test(address)) {
        this.#logger.warn(`heapmesh: a balancer named '${address}', which is no host:port; it is left out`);
        continue;
      }
      if (this.#links.size >= REPORTER_LIMITS.balancers) {
        this.#logger.warn(
          `heapmesh: more than ${REPORTER_LIMITS.balancers} balancers; ${address} gets no reports`,
        );
        continue;
      }
      const link = new Link(address, false, this.#context);
      this.#links.set(address, link);
      link.connect();
    }
  }
}

function sameInstance(a: Link, b: Link): boolean {
  const instance = a.answer?.instanceId;
  return instance !== undefined && instance !== '' && instance === b.answer?.instanceId;
}
