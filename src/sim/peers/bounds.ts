/** What no real balancer could know: bounds to compare with. */
import type { Balancer, PolicyUnderTest, World } from '../balancer.ts';
import type { Server } from '../server.ts';

abstract class Bound implements Balancer {
  protected readonly list: number[] = [];
  protected readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  abstract pick(call: number, now: number): number;

  ended(): void {}

  join(server: number): void {
    if (!this.list.includes(server)) this.list.push(server);
  }

  leave(server: number): void {
    const at = this.list.indexOf(server);
    if (at >= 0) this.list.splice(at, 1);
  }
}

/** Least (true in flight + 1) / speed, known at once; ties to the one picked longest ago. */
class Oracle extends Bound {
  private readonly picked = new Float64Array(this.world.servers.length);
  private picks = 0;

  pick(): number {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (const index of this.list) {
      const server = this.world.servers[index] as Server;
      if (server.failShare > 0) continue;
      const cost = (this.world.inFlightOf(index) + 1) / server.speed;
      const longer = best < 0 || (this.picked[index] as number) < (this.picked[best] as number);
      if (cost > least || (cost === least && !longer)) continue;
      best = index;
      least = cost;
    }
    if (best >= 0) this.picked[best] = ++this.picks;
    return best;
  }
}

/** All calls wait in one queue; a slot that comes free takes the first. The fastest free server first. */
class CentralQueue extends Bound {
  private readonly picked = new Float64Array(this.world.servers.length);
  private picks = 0;

  pick(): number {
    let best = -1;
    for (const index of this.list) {
      const server = this.world.servers[index] as Server;
      if (server.failShare > 0 || server.speed === 0) continue;
      if (this.world.inFlightOf(index) >= server.slots) continue;
      if (best >= 0) {
        const other = this.world.servers[best] as Server;
        if (server.speed < other.speed) continue;
        const later = (this.picked[index] as number) > (this.picked[best] as number);
        if (server.speed === other.speed && later) continue;
      }
      best = index;
    }
    if (best >= 0) this.picked[best] = ++this.picks;
    return best;
  }
}

export const BOUNDS: readonly PolicyUnderTest[] = [
  {
    name: 'oracle',
    about: 'least (true in flight + 1) / true speed, known at once',
    kind: 'bound',
    central: true,
    create: world => new Oracle(world),
  },
  {
    name: 'central-queue',
    about: 'one queue for all; a free slot takes the first call in it',
    kind: 'bound',
    central: true,
    create: world => new CentralQueue(world),
  },
];
