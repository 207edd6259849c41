/**
 * Prequal with its probes: three a call, answers kept in a pool of 16 for 1 s, hot-cold lexicographic
 * choice (Wydrowski et al., NSDI 2024). With fewer servers than places the pool has one entry a server.
 */
import type { PolicyUnderTest, World } from '../balancer.ts';
import type { Random } from '../random.ts';
import { ListBalancer } from './list.ts';

const PROBES = 3;
const POOL = 16;
const AGE_MS = 1_000;
const HOT_QUANTILE = 0.84;
const REMOVED = 1;
/** δ of the paper's formula for reuse. */
const REUSE_SLACK = 1;
const REUSE_SMALL_POOL = 10;
/** Calls in flight told by the last probes: what the hot quantile is taken of. */
const REMEMBERED = 64;

class Prequal extends ListBalancer {
  private readonly index: number;
  private readonly world: World;
  private readonly server = new Int32Array(POOL);
  private readonly inFlight = new Float64Array(POOL);
  private readonly latency = new Float64Array(POOL);
  private readonly time = new Float64Array(POOL);
  private readonly uses = new Int32Array(POOL);
  private size = 0;
  private readonly told = new Float64Array(REMEMBERED);
  private tolds = 0;
  private hot = Number.POSITIVE_INFINITY;
  private removeWorst = false;

  constructor(world: World, index: number, random: Random) {
    super(world, random);
    this.world = world;
    this.index = index;
  }

  override leave(server: number, now: number): void {
    super.leave(server, now);
    for (let at = this.size - 1; at >= 0; at--) if (this.server[at] === server) this.remove(at);
  }

  probed(server: number, inFlight: number, latencyMs: number, now: number): void {
    if (!this.list.includes(server)) return;
    this.told[this.tolds++ % REMEMBERED] = inFlight;
    if (this.tolds % 8 === 0) this.findHot();
    let at = this.size;
    if (this.isSmall()) {
      const there = this.server.subarray(0, this.size).indexOf(server);
      if (there >= 0) at = there;
    }
    if (at === POOL) {
      this.remove(this.oldest());
      at = this.size;
    }
    if (at === this.size) this.size++;
    this.server[at] = server;
    this.inFlight[at] = inFlight;
    this.latency[at] = latencyMs;
    this.time[at] = now;
    this.uses[at] = this.budget();
  }

  protected choose(now: number): number {
    this.sendProbes();
    for (let at = this.size - 1; at >= 0; at--) {
      if (now - (this.time[at] as number) > AGE_MS) this.remove(at);
    }
    if (this.size < 2) return this.any();
    let best = 0;
    for (let at = 1; at < this.size; at++) if (this.isBetter(at, best)) best = at;
    const server = this.server[best] as number;
    this.inFlight[best] = (this.inFlight[best] as number) + 1;
    this.uses[best] = (this.uses[best] as number) - 1;
    if ((this.uses[best] as number) <= 0) this.remove(best);
    if (!this.isSmall()) for (let n = 0; n < REMOVED && this.size > 2; n++) this.removeOne();
    return server;
  }

  /** Probes go to servers drawn without replacement: one that was drawn goes to the end of the list. */
  private sendProbes(): void {
    const { list } = this;
    for (let left = list.length; left > 0 && left > list.length - PROBES; left--) {
      const at = this.random.below(left);
      const server = list[at] as number;
      list[at] = list[left - 1] as number;
      list[left - 1] = server;
      this.world.probe(this.index, server);
    }
  }

  private isSmall(): boolean {
    return this.list.length < POOL;
  }

  private isHot(at: number): boolean {
    return (this.inFlight[at] as number) > this.hot;
  }

  private isBetter(a: number, b: number): boolean {
    const hot = this.isHot(a);
    if (hot !== this.isHot(b)) return !hot;
    const column = hot ? this.inFlight : this.latency;
    return (column[a] as number) < (column[b] as number);
  }

  private budget(): number {
    if (this.isSmall()) return REUSE_SMALL_POOL;
    const rate = (1 - POOL / this.list.length) * PROBES - REMOVED;
    const reuse = rate > 0 ? Math.max(1, (1 + REUSE_SLACK) / rate) : REUSE_SMALL_POOL;
    // Rounded at random, so that the mean is the formula's.
    return Math.floor(reuse) + (this.random.next() < reuse % 1 ? 1 : 0);
  }

  /** The oldest and the worst in turn. */
  private removeOne(): void {
    this.removeWorst = !this.removeWorst;
    if (!this.removeWorst) {
      this.remove(this.oldest());
      return;
    }
    let worst = 0;
    for (let at = 1; at < this.size; at++) if (this.isBetter(worst, at)) worst = at;
    this.remove(worst);
  }

  private oldest(): number {
    let oldest = 0;
    for (let at = 1; at < this.size; at++) {
      if ((this.time[at] as number) < (this.time[oldest] as number)) oldest = at;
    }
    return oldest;
  }

  private remove(at: number): void {
    const last = --this.size;
    this.server[at] = this.server[last] as number;
    this.inFlight[at] = this.inFlight[last] as number;
    this.latency[at] = this.latency[last] as number;
    this.time[at] = this.time[last] as number;
    this.uses[at] = this.uses[last] as number;
  }

  private findHot(): void {
    const sorted = this.told.slice(0, Math.min(this.tolds, REMEMBERED)).sort();
    this.hot = sorted[Math.floor(HOT_QUANTILE * (sorted.length - 1))] as number;
  }
}

export const PREQUAL: PolicyUnderTest = {
  name: 'prequal-probes',
  about: 'Prequal: three probes a call, hot-cold lexicographic (NSDI 2024)',
  kind: 'peer',
  probes: true,
  create: (world, index, random) => new Prequal(world, index, random),
};
