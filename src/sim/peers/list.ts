/** What peers have in common: the servers that can be reached, and own calls in flight on each. */
import type { Outcome } from '../../core/core.ts';
import type { Balancer, World } from '../balancer.ts';
import type { Random } from '../random.ts';

export abstract class ListBalancer implements Balancer {
  /** Servers that can be reached, in no order. */
  readonly list: number[] = [];
  /** By server: own calls in flight. */
  readonly own: Int32Array;
  protected readonly random: Random;

  constructor(world: World, random: Random) {
    this.random = random;
    this.own = new Int32Array(world.servers.length);
  }

  pick(_call: number, now: number): number {
    const server = this.list.length === 0 ? -1 : this.choose(now);
    if (server >= 0) this.own[server] = (this.own[server] as number) + 1;
    return server;
  }

  ended(_call: number, server: number, _now: number, _outcome: Outcome, _latencyMs: number): void {
    this.own[server] = (this.own[server] as number) - 1;
  }

  join(server: number, _now: number): void {
    if (!this.list.includes(server)) this.list.push(server);
  }

  leave(server: number, _now: number): void {
    const at = this.list.indexOf(server);
    if (at >= 0) this.list.splice(at, 1);
  }

  /** One of `list`, which is not empty. */
  protected abstract choose(now: number): number;

  protected any(): number {
    return this.list[this.random.below(this.list.length)] as number;
  }

  /** Two that differ where there are two; the second is −1 where there is one only. */
  protected second(first: number): number {
    const { list } = this;
    if (list.length < 2) return -1;
    const other = list[this.random.below(list.length - 1)] as number;
    return other === first ? (list[list.length - 1] as number) : other;
  }
}
