/**
 * The instances that share a log: each writes that it joins, and is heard of by all that it writes, its
 * notes of load at least. One that is silent for long is retired by another, so that what it alone claimed
 * does not stay for ever.
 */
import type { Clock, KnownInstance } from '../control/control.ts';
import { INSTANCE_LIMITS } from '../core/limits.ts';
import type { Registry } from '../core/registry.ts';
import type { Others } from './instances.ts';

export interface RosterOptions {
  readonly id: string;
  readonly epoch: number;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly own: { readonly control: string; readonly proxy: string };
  /** While it does not answer, nobody's silence means anything. */
  readonly logAnswers: () => boolean;
  readonly onChange: () => void;
  /** Others took this instance for gone: what it claims has to be claimed again. */
  readonly onRetired: () => void;
}

export class Roster implements Others {
  readonly #options: RosterOptions;
  /** By instance, on the clock. */
  readonly #heard = new Map<string, number>();
  /** Those that were never heard of are given their time from here on. */
  #since: number;
  #told = '';
  #callOff: (() => void) | undefined;
  readonly #stop: () => void;
  /** A word of this instance on itself is on its way. */
  #joining = false;
  #leaving = false;
  #closed = false;

  constructor(options: RosterOptions) {
    this.#options = options;
    this.#since = options.clock.now();
    this.#stop = options.registry.onInstances(() => this.#look());
    this.#join('begins');
    this.#later();
  }

  /** A record of this instance was read. */
  heard(id: string): void {
    const was = this.#heard.get(id);
    const now = this.#options.clock.now();
    this.#heard.set(id, now);
    if (was === undefined || now - was >= INSTANCE_LIMITS.silentMs) this.#look();
  }

  list(): readonly KnownInstance[] {
    const { id: own, registry } = this.#options;
    const others = registry.instances().filter(one => one.id !== own);
    return others.map(({ id, control, proxy, present }) => {
      const silentMs = this.#silentMs(id);
      return { id, control, proxy, alive: present && silentMs < INSTANCE_LIMITS.silentMs, silentMs };
    });
  }

  /** Says that this instance leaves; what it claims stays for the next life. */
  async leave(): Promise<void> {
    const { registry } = this.#options;
    this.#leaving = true;
    const told = registry.propose({ kind: 'leave' }, 'ends').then(
      () => {},
      () => {},
    );
    const patience = new Promise<void>(resolve =>
      this.#options.clock.after(INSTANCE_LIMITS.leaveMs, resolve),
    );
    await Promise.race([told, patience]);
  }

  close(): void {
    this.#closed = true;
    this.#callOff?.();
    this.#stop();
  }

  #join(cause: string): void {
    const { control, proxy } = this.#options.own;
    this.#joining = true;
    const over = () => {
      this.#joining = false;
    };
    this.#options.registry.propose({ kind: 'join', control, proxy }, cause).then(over, over);
  }

  #later(): void {
    this.#callOff = this.#options.clock.after(INSTANCE_LIMITS.pollMs, () => {
      this.#look();
      this.#retireSilent();
      if (!this.#closed) this.#later();
    });
  }

  #silentMs(id: string): number {
    return this.#options.clock.now() - Math.max(this.#heard.get(id) ?? 0, this.#since);
  }

  #look(): void {
    if (this.#closed) return;
    if (!this.#options.logAnswers()) this.#since = this.#options.clock.now();
    const alive = this.list().filter(one => one.alive);
    const now = JSON.stringify(alive.map(({ id, control, proxy }) => [id, control, proxy]));
    if (now === this.#told) return;
    this.#told = now;
    this.#options.onChange();
  }

  /** The first of those that are there does it; the others, in their order, where it does not. */
  #retireSilent(): void {
    const { id: own, epoch, registry, logAnswers } = this.#options;
    if (!logAnswers() || this.#joining || this.#leaving) return;
    const all = registry.instances();
    const self = all.find(one => one.id === own);
    if (self === undefined || self.epoch !== epoch || !self.present) {
      this.#join('was taken for gone, and is there');
      this.#options.onRetired();
      return;
    }
    const alive = this.list().filter(one => one.alive);
    const turn = alive.filter(one => one.id < own).length;
    for (const one of all) {
      const silentMs = this.#silentMs(one.id);
      if (one.id === own || silentMs < INSTANCE_LIMITS.retireMs + turn * INSTANCE_LIMITS.retireTurnMs)
        continue;
      const cause = `${one.id} was not heard of for ${Math.round(silentMs / 1000)} s`;
      registry.propose({ kind: 'retire', instance: one.id, epoch: one.epoch }, cause).catch(() => {});
    }
  }
}
