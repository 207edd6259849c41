/** A mesh over a log that answers at once, with a clock that tests move by hand. */
import { type LoadSample, Outcome, type ServerSpec, type Source } from '../../src/core/core.ts';
import type { Body, Proposal } from '../../src/core/entries.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import { Mesh, type MeshOptions } from '../../src/core/mesh.ts';
import type { PickWant, Pool } from '../../src/core/pool.ts';

export const SERVICE = 'echo.v1.EchoService';

export function spec(id: string, more: Partial<ServerSpec> = {}): ServerSpec {
  return {
    id,
    address: `${id}:1`,
    services: [SERVICE],
    weight: 1,
    zone: '',
    labels: {},
    maxConcurrency: 0,
    standby: false,
    ...more,
  };
}

export function sample(more: Partial<LoadSample> = {}): LoadSample {
  return {
    inFlight: Number.NaN,
    utilization: Number.NaN,
    rps: Number.NaN,
    eps: Number.NaN,
    windowMs: 1000,
    ...more,
  };
}

/** A small generator of numbers in [0, 1) (Marsaglia's xorshift32), so that a seed repeats a run. */
export function randomOf(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}

export class Rig {
  now = 1000;
  readonly mesh: Mesh;
  private position = 0;

  constructor(options: Partial<MeshOptions> = {}) {
    this.mesh = new Mesh({
      instanceId: 'lb-1',
      epoch: 1,
      append: proposal => this.order(proposal),
      wallClock: () => this.now,
      clock: () => this.now,
      random: randomOf(7),
      onError: error => {
        throw error;
      },
      ...options,
    });
  }

  get pool(): Pool {
    const pool = this.mesh.pool(SERVICE);
    if (pool === undefined) throw new Error('no pool');
    return pool;
  }

  propose(body: Body): void {
    void this.mesh.registry.propose(body, 'test');
  }

  add(server: ServerSpec, source: Source = 'config'): number {
    this.propose({ kind: 'claim', source, spec: server });
    return this.mesh.slotOf(server.id);
  }

  /** Adds a server and takes its warm-up as done. */
  addWarm(server: ServerSpec): number {
    const slot = this.add(server);
    this.warm(server.id);
    return slot;
  }

  warm(id: string): void {
    this.propose({ kind: 'observe', id, observation: { phase: 'active', healthy: true } });
  }

  pick(want?: PickWant, kind: LeaseKind = LeaseKind.RELAYED): number {
    return this.pool.pick(this.now, kind, want);
  }

  /** Picks and says which server it was; throws where there is none. */
  pickId(want?: PickWant, kind?: LeaseKind): { lease: number; id: string } {
    const lease = this.pick(want, kind);
    if (lease < 0) throw new Error(`no pick: ${lease}`);
    return { lease, id: this.mesh.idOf(this.mesh.leases.slotOf(lease)) };
  }

  complete(lease: number, outcome: Outcome = Outcome.SUCCESS, latencyMs = 20): boolean {
    return this.mesh.leases.complete(lease, this.now, outcome, latencyMs);
  }

  report(id: string, more: Partial<LoadSample>): void {
    this.mesh.report(this.mesh.slotOf(id), sample(more), this.now);
  }

  /** Moves time on, ticking every 50 ms. */
  advance(ms: number): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(end, this.now + 50);
      this.mesh.tick(this.now);
    }
  }

  verify(): void {
    for (const pool of this.mesh.pools()) pool.verify();
  }

  private order(proposal: Proposal): void {
    this.mesh?.registry.ingest({ position: ++this.position, proposal });
  }
}
