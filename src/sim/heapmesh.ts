/** Heapmesh as a balancer of the simulation: the real core, with a log that answers at once. */
import { ANY_SERVICE, type LoadSample, type Outcome, type ServerSpec } from '../core/core.ts';
import { Detector } from '../core/detector.ts';
import { HEALTH_LIMITS, QUEUE_LIMITS } from '../core/limits.ts';
import { LeaseKind } from '../core/load-table.ts';
import { Mesh } from '../core/mesh.ts';
import { OUTLIER_DEFAULTS } from '../core/outlier.ts';
import { POLICIES, type PolicyName } from '../core/policies/policies.ts';
import type { PickWant, Pool } from '../core/pool.ts';
import type { Balancer, PolicyUnderTest, World } from './balancer.ts';
import type { Random } from './random.ts';
import type { ServerGroup } from './scenario.ts';

const SERVICE = 'sim.v1.Service';

class HeapmeshBalancer implements Balancer {
  readonly mesh: Mesh;
  private position = 0;
  private readonly groups: ServerGroup[] = [];
  private readonly serverOf: number[] = [];
  private readonly want: PickWant | undefined;
  private leases = new Int32Array(256);
  private pool: Pool | undefined;
  private readonly detector: Detector;
  private looked = Number.NEGATIVE_INFINITY;
  /** Calls that wait may have their turn. */
  private roomy = false;
  /** Tickets of calls that wait. */
  private readonly tickets = new Map<number, number>();
  private readonly world: World;

  constructor(world: World, index: number, random: Random, policy: PolicyName) {
    this.world = world;
    const { scenario } = world;
    for (const group of scenario.servers) {
      for (let n = 0; n < group.count; n++) this.groups.push(group);
    }
    const zone = world.zoneOf(index);
    this.want = zone === '' ? undefined : { zone };
    this.mesh = new Mesh({
      instanceId: `lb-${index}`,
      epoch: 1,
      append: proposal => this.mesh.registry.ingest({ position: ++this.position, proposal }),
      wallClock: () => world.now(),
      clock: () => world.now(),
      random: () => random.next(),
      balancers: scenario.balancers,
      pools: new Map([[ANY_SERVICE, { zoneFactor: 1.5, policy, queueSize: queueSize(scenario.waiting) }]]),
      onRoom: () => {
        this.roomy = true;
      },
      onError: error => {
        throw error;
      },
    });
    this.detector = new Detector({
      mesh: this.mesh,
      rulesOf: () => ({ outliers: OUTLIER_DEFAULTS, panicBelow: 0.5 }),
      suspicionMs: 5_000,
      random: () => random.next(),
    });
  }

  pick(call: number, now: number): number {
    const lease = this.pool === undefined ? -1 : this.pool.pick(now, LeaseKind.RELAYED, this.want);
    if (lease < 0) return -1;
    if (call >= this.leases.length) {
      const wider = new Int32Array(Math.max(call + 1, this.leases.length * 2));
      wider.set(this.leases);
      this.leases = wider;
    }
    this.leases[call] = lease;
    return this.serverOf[this.mesh.leases.slotOf(lease)] as number;
  }

  ended(call: number, _server: number, now: number, outcome: Outcome, latencyMs: number): void {
    this.mesh.leases.complete(this.leases[call] as number, now, outcome, latencyMs);
    this.settle(now);
  }

  wait(call: number, deadline: number, now: number): boolean {
    const { pool, world } = this;
    if (pool === undefined) return false;
    // Whoever has no deadline of his own waits for so long at most.
    const latest = Math.min(deadline, now + QUEUE_LIMITS.maxWaitMs);
    const ticket = pool.queue.enter(
      {
        turn: () => world.turn(call) && this.tickets.delete(call),
        tooLate: () => this.refuse(call),
        poolEnded: () => this.refuse(call),
      },
      latest,
      now,
      pool.expectation(),
    );
    if (ticket < 0) return false;
    this.tickets.set(call, ticket);
    return true;
  }

  forgo(call: number): void {
    const ticket = this.tickets.get(call);
    if (ticket === undefined) return;
    this.tickets.delete(call);
    this.pool?.queue.leave(ticket);
  }

  private refuse(call: number): void {
    this.tickets.delete(call);
    this.world.refuse(call);
  }

  /** The turn of events is over: who waits has his. */
  private settle(now: number): void {
    if (!this.roomy) return;
    this.roomy = false;
    this.mesh.serveWaiting(now);
  }

  report(server: number, sample: LoadSample, now: number): void {
    const slot = this.mesh.slotOf(idOf(server));
    if (slot >= 0) this.mesh.report(slot, sample, now);
    this.settle(now);
  }

  join(server: number): void {
    const id = idOf(server);
    if (this.mesh.registry.get(id)?.state === 'EJECTED') {
      this.detector.reachable(id, 'reached again');
      return;
    }
    this.propose({ kind: 'claim', source: 'stream', spec: this.specOf(server) });
    this.serverOf[this.mesh.slotOf(id)] = server;
    this.pool = this.mesh.pool(SERVICE);
  }

  leave(server: number): void {
    this.detector.unreachable(idOf(server), 'its connections broke');
  }

  drain(server: number): void {
    this.propose({
      kind: 'drain',
      id: idOf(server),
      by: 'backend',
      timeoutMs: 30_000,
      afterwards: 'remove',
    });
  }

  tick(now: number): void {
    this.mesh.tick(now);
    if (now - this.looked >= HEALTH_LIMITS.lookMs) {
      this.looked = now;
      this.detector.look(now);
    }
    this.settle(now);
  }

  private propose(body: Parameters<Mesh['registry']['propose']>[0]): void {
    void this.mesh.registry.propose(body, 'simulated');
  }

  private specOf(server: number): ServerSpec {
    const group = this.groups[server] as ServerGroup;
    return {
      id: idOf(server),
      address: `${idOf(server)}:1`,
      services: [SERVICE],
      weight: 1,
      zone: group.zone,
      labels: {},
      maxConcurrency: group.maxConcurrency,
      standby: false,
    };
  }
}

function queueSize(waiting: number): number {
  return Math.min(waiting, QUEUE_LIMITS.mostSize);
}

function idOf(server: number): string {
  return `s${server}`;
}

function ours(name: PolicyName): PolicyUnderTest {
  return {
    // Peers go by their own names; what has the same name here is our version of it.
    name: name === 'least-load' ? name : `our-${name}`,
    about: `Heapmesh: ${POLICIES[name]}`,
    kind: 'ours',
    create: (world, index, random) => new HeapmeshBalancer(world, index, random, name),
  };
}

export const OURS: readonly PolicyUnderTest[] = (Object.keys(POLICIES) as PolicyName[]).map(ours);
