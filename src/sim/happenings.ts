/** What befalls servers in a run: at its time a happening changes the server, and at its end changes it back. */
import type { Happening } from './scenario.ts';
import type { Server } from './server.ts';
import type { Simulation } from './world.ts';

interface Change {
  readonly atMs: number;
  readonly apply: () => void;
}

export class Happenings {
  /** Figures that a run tells beside its latencies. */
  readonly notes: Record<string, number> = {};
  private readonly changes: Change[] = [];
  private readonly world: Simulation;
  // Factors of a server's speed, by cause.
  private readonly slowed: Float64Array;
  private readonly disturbed: Float64Array;
  private readonly cold: Float64Array;

  constructor(world: Simulation) {
    this.world = world;
    const count = world.servers.length;
    this.slowed = new Float64Array(count).fill(1);
    this.disturbed = new Float64Array(count).fill(1);
    this.cold = new Float64Array(count).fill(1);
    for (const happening of world.scenario.happenings) {
      for (const index of happening.servers) this.plan(happening, world.servers[index] as Server);
    }
  }

  /** When `happen` is to be called, with the index of the time. */
  get times(): number[] {
    return this.changes.map(change => change.atMs);
  }

  happen(n: number): void {
    this.changes[n]?.apply();
  }

  /** A neighbour takes a part of a server's speed. */
  antagonist(server: Server, factor: number): void {
    this.disturbed[server.index] = factor;
    this.respeed(server);
  }

  private plan(happening: Happening, server: Server): void {
    const { world } = this;
    const { index } = server;
    const at = (atMs: number | undefined, apply: () => void): void => {
      if (atMs !== undefined) this.changes.push({ atMs, apply });
    };
    const { atMs, untilMs } = happening;
    switch (happening.kind) {
      case 'slow':
        at(atMs, () => {
          this.slowed[index] = happening.factor;
          this.respeed(server);
        });
        at(untilMs, () => {
          this.slowed[index] = 1;
          this.respeed(server);
        });
        return;
      case 'fail':
        at(atMs, () => {
          server.failShare = happening.share;
          server.failAfterMs = happening.afterMs;
        });
        at(untilMs, () => {
          server.failShare = 0;
        });
        return;
      case 'hang':
        at(atMs, () => {
          server.hung = true;
          this.respeed(server);
        });
        at(untilMs, () => {
          server.hung = false;
          this.respeed(server);
        });
        return;
      case 'silent':
        at(atMs, () => {
          server.silent = true;
        });
        at(untilMs, () => {
          server.silent = false;
        });
        return;
      case 'down':
        at(atMs, () => this.end(server));
        at(untilMs, () => {
          server.up = true;
          world.reachable(index);
        });
        return;
      case 'join':
        server.present = false;
        at(atMs, () => {
          server.present = true;
          this.cold[index] = happening.factor;
          this.respeed(server);
          world.reachable(index);
        });
        at(atMs + happening.coldMs, () => {
          this.cold[index] = 1;
          this.respeed(server);
        });
        return;
      case 'drain':
        at(atMs, () => world.drain(index));
    }
  }

  /** The server ends: its calls fail, its connections break. */
  private end(server: Server): void {
    const { world } = this;
    server.up = false;
    for (let call = server.expel(world.now()); call >= 0; call = server.expel(world.now())) {
      world.answer(call, true);
    }
    world.foretell(server);
    for (const balancer of world.balancers) balancer.leave(server.index, world.now());
  }

  private respeed(server: Server): void {
    const { index } = server;
    server.advance(this.world.now());
    const factor =
      (this.slowed[index] as number) * (this.disturbed[index] as number) * (this.cold[index] as number);
    server.speed = server.hung ? 0 : server.nominal * factor;
    this.world.foretell(server);
  }
}
