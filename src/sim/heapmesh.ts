/** Heapmesh as a balancer of the simulation: the real core, with a log that answers at once. */
import { ANY_SERVICE, type LoadSample, type Outcome, type ServerSpec } from '../core/core.ts';
import { LeaseKind } from '../core/load-table.ts';
import { Mesh } from '../core/mesh.ts';
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

  constructor(world: World, index: number, random: Random, policy: PolicyName) {
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
      pools: new Map([[ANY_SERVICE, { zoneFactor: 1.5, policy }]]),
      onError: error => {
        throw error;
      },
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
  }

  report(server: number, sample: LoadSample, now: number): void {
    const slot = this.mesh.slotOf(idOf(server));
    if (slot >= 0) this.mesh.report(slot, sample, now);
  }

  join(server: number): void {
    const id = idOf(server);
    if (this.mesh.registry.get(id)?.state === 'EJECTED') {
      this.propose({ kind: 'observe', id, observation: { phase: 'warming', healthy: true } });
      return;
    }
    this.propose({ kind: 'claim', source: 'stream', spec: this.specOf(server) });
    this.serverOf[this.mesh.slotOf(id)] = server;
    this.pool = this.mesh.pool(SERVICE);
  }

  leave(server: number): void {
    const id = idOf(server);
    this.propose({ kind: 'observe', id, observation: { phase: 'ejected', healthy: false } });
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
