/** A heap keyed by the utilization that was reported last: the mission read literally. */
import type { LoadSample } from '../../core/core.ts';
import type { PolicyUnderTest, World } from '../balancer.ts';
import type { Random } from '../random.ts';
import { ListBalancer } from './list.ts';

class NaiveHeap extends ListBalancer {
  private readonly key: Float64Array;

  constructor(world: World, random: Random) {
    super(world, random);
    // Never reported is 0: a new server becomes the root.
    this.key = new Float64Array(this.own.length);
  }

  report(server: number, { utilization }: LoadSample): void {
    this.key[server] = utilization;
  }

  protected choose(): number {
    let best = this.list[0] as number;
    for (const server of this.list) {
      if ((this.key[server] as number) < (this.key[best] as number)) best = server;
    }
    return best;
  }
}

export const NAIVE_HEAP: PolicyUnderTest = {
  name: 'naive-heap',
  about: 'the lowest utilization of the last reports',
  kind: 'peer',
  create: (world, _index, random) => new NaiveHeap(world, random),
};
