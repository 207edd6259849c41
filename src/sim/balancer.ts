/** What the simulation asks of a balancer, be it ours or a peer's; one object a balancer that runs. */
import type { LoadSample, Outcome } from '../core/core.ts';
import type { Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import type { Server } from './server.ts';

export interface Balancer {
  /** The server for a call that begins now; −1: none can take it now. */
  pick(call: number, now: number): number;
  /** The call ended, as its caller sees it. `latencyMs` is since the pick. */
  ended(call: number, server: number, now: number, outcome: Outcome, latencyMs: number): void;
  /** A report arrived. */
  report?(server: number, sample: LoadSample, now: number): void;
  /** A server can be reached, at the beginning too. */
  join(server: number, now: number): void;
  /** A server cannot be reached: its connections broke. */
  leave(server: number, now: number): void;
  /** It takes no more calls. */
  drain?(server: number, now: number): void;
  /**
   * Nobody can take the call now: it may wait here, and gets its turn by `world.turn`. False: it may not.
   * Without it calls wait in the world's own queue, first come, first served.
   */
  wait?(call: number, deadline: number, now: number): boolean;
  /** A call that waits here has been given up by its caller. */
  forgo?(call: number): void;
  /** Called each 50 ms. */
  tick?(now: number): void;
  /** An answer to `world.probe`. */
  probed?(server: number, inFlight: number, latencyMs: number, now: number): void;
}

/** The world as a balancer may see it. Only the oracle and the central queue look at `servers`. */
export interface World {
  readonly scenario: Scenario;
  readonly servers: readonly Server[];
  now(): number;
  /** Asks a server for what it has in flight and how long calls take there; it answers with `probed`. */
  probe(balancer: number, server: number): void;
  /** A call that waited has its turn; false where nobody can take it still. */
  turn(call: number): boolean;
  /** A call that waited will not be served. */
  refuse(call: number): void;
  /** Empty: the balancer has none. */
  zoneOf(balancer: number): string;
  /** True calls in flight, those on their way there included. */
  inFlightOf(server: number): number;
}

export interface PolicyUnderTest {
  readonly name: string;
  readonly about: string;
  /** `ours`, `peer`, or `bound`: what no real balancer could know. */
  readonly kind: 'ours' | 'peer' | 'bound';
  /** One for all callers, and at once: a bound. */
  readonly central?: boolean;
  /** Servers keep latencies for its probes. */
  readonly probes?: boolean;
  create(world: World, index: number, random: Random): Balancer;
}
