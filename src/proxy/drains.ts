/** The end of a server's drain, as the proxy sees it: streams that are still open there are asked to move. */
import type { ServerView } from '../core/core.ts';
import type { Registry } from '../core/registry.ts';

export interface DrainsOptions {
  readonly registry: Registry;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** The time of a drain is over. @param timeoutMs how long it was */
  readonly overdue: (id: string, timeoutMs: number) => void;
}

export class Drains {
  private readonly options: DrainsOptions;
  /** Servers that drain, and since when, ms. */
  private readonly begun = new Map<string, number>();
  private readonly unfollow: () => void;

  constructor(options: DrainsOptions) {
    this.options = options;
    this.unfollow = options.registry.onChange((id, before, after) => this.changed(id, before, after));
    for (const view of options.registry.list()) this.changed(view.spec.id, undefined, view);
  }

  stop(): void {
    this.unfollow();
  }

  private changed(id: string, before: ServerView | undefined, after: ServerView | undefined): void {
    if (after?.state === 'DRAINING' && after.drain?.empty === false) {
      if (!this.begun.has(id)) this.begun.set(id, this.options.now());
      return;
    }
    const since = this.begun.get(id);
    if (since === undefined) return;
    this.begun.delete(id);
    const timeoutMs = before?.drain?.timeoutMs;
    const isBack = after !== undefined && after.state !== 'DRAINING' && after.state !== 'STANDBY';
    // One that is empty before its time has no streams, and one that was removed may finish them.
    if (timeoutMs === undefined || isBack || this.options.now() - since < timeoutMs) return;
    this.options.overdue(id, timeoutMs);
  }
}
