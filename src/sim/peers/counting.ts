/** Peers that know their own counts, or nothing. */
import type { Outcome } from '../../core/core.ts';
import type { PolicyUnderTest } from '../balancer.ts';
import { ListBalancer } from './list.ts';

class RandomChoice extends ListBalancer {
  protected choose(): number {
    return this.any();
  }
}

class RoundRobin extends ListBalancer {
  private at = -1;

  protected choose(): number {
    // Each client begins elsewhere, as gRPC's do, so that they do not walk in step.
    if (this.at < 0) this.at = this.random.below(this.list.length);
    this.at = (this.at + 1) % this.list.length;
    return this.list[this.at] as number;
  }
}

/** Fewest own calls in flight of all; ties at random (Envoy's `FULL_SCAN`). */
class FullScan extends ListBalancer {
  protected choose(): number {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    let ties = 0;
    for (const server of this.list) {
      const count = this.own[server] as number;
      if (count > least) continue;
      if (count < least) {
        best = server;
        least = count;
        ties = 1;
      } else if (this.random.below(++ties) === 0) best = server;
    }
    return best;
  }
}

/**
 * Fewest own calls in flight. Of equal ones that which has had its number longest: HAProxy takes a server out of
 * its tree whenever its number changes and puts it in again behind those with the same (`fwlc_srv_reposition`).
 */
class LeastConnections extends ListBalancer {
  private readonly placed = new Float64Array(this.own.length);
  private places = 0;

  override ended(call: number, server: number, now: number, outcome: Outcome, latencyMs: number): void {
    super.ended(call, server, now, outcome, latencyMs);
    this.placed[server] = ++this.places;
  }

  protected choose(): number {
    let best = -1;
    for (const server of this.list) {
      if (best >= 0) {
        const more = (this.own[server] as number) - (this.own[best] as number);
        if (more > 0 || (more === 0 && (this.placed[server] as number) >= (this.placed[best] as number)))
          continue;
      }
      best = server;
    }
    this.placed[best] = ++this.places;
    return best;
  }
}

/** Envoy's LEAST_REQUEST with unit weights: two drawn one after the other, which may be the same. */
class TwoChoices extends ListBalancer {
  protected choose(): number {
    const first = this.any();
    const second = this.any();
    return (this.own[second] as number) < (this.own[first] as number) ? second : first;
  }
}

export const COUNTING: readonly PolicyUnderTest[] = [
  {
    name: 'random',
    about: 'any server',
    kind: 'peer',
    create: (world, _index, random) => new RandomChoice(world, random),
  },
  {
    name: 'round-robin',
    about: 'one after the other',
    kind: 'peer',
    create: (world, _index, random) => new RoundRobin(world, random),
  },
  {
    name: 'least-request',
    about: 'fewest own calls in flight of all, ties at random (Envoy, full scan)',
    kind: 'peer',
    create: (world, _index, random) => new FullScan(world, random),
  },
  {
    name: 'leastconn',
    about: 'fewest own calls in flight, ties to the one that has had so many longest (HAProxy)',
    kind: 'peer',
    create: (world, _index, random) => new LeastConnections(world, random),
  },
  {
    name: 'envoy-p2c',
    about: 'the one of two with fewer own calls in flight (Envoy LEAST_REQUEST)',
    kind: 'peer',
    create: (world, _index, random) => new TwoChoices(world, random),
  },
];
