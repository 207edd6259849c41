/**
 * The simulation: calls arrive, balancers choose, servers serve, reports travel, things go wrong. One
 * loop over an event queue; nothing is allocated for a call or an event.
 */
import { Outcome } from '../core/core.ts';
import type { Balancer, PolicyUnderTest, World } from './balancer.ts';
import { CallTable, Stage } from './calls.ts';
import { Event } from './events.ts';
import { Happenings } from './happenings.ts';
import { EventQueue } from './queue.ts';
import { Random } from './random.ts';
import { ScalingInSim } from './scaling.ts';
import type { Scenario } from './scenario.ts';
import { Server } from './server.ts';
import { Signals } from './signals.ts';
import { type RunPlot, type RunResult, Tally } from './tally.ts';
import { WaitingCalls } from './waiting.ts';
import { Workload } from './workload.ts';

/** As the mesh ticks in a real balancer, ms. */
const TICK_MS = 50;
/** Calls that were measured may end so much later; what has not ended then counts with its age. */
const DRAIN_MS = 5_000;
/** An event of a call carries its life above the index. */
const CALL_BITS = 22;
const CALL_MASK = (1 << CALL_BITS) - 1;
const SERVER_BITS = 12;
const SERVER_MASK = (1 << SERVER_BITS) - 1;
const FORECAST_MASK = (1 << (30 - SERVER_BITS)) - 1;
/** Points in time of a plot. */
const SAMPLES = 120;

// Streams of random numbers, beside those of `workload.ts`: what befalls the calls must not depend on the policy.
const Stream = { REPORTS: 3, SERVERS: 4, FAILURES: 5, BALANCERS: 16 } as const;

export interface RunOptions {
  readonly scenario: Scenario;
  readonly policy: PolicyUnderTest;
  readonly seed: number;
  readonly plot?: boolean;
}

export class Simulation implements World {
  readonly scenario: Scenario;
  readonly servers: Server[] = [];
  readonly calls = new CallTable();
  readonly balancers: Balancer[] = [];
  private readonly random: Random;
  /** Drawn as often as calls come to servers that fail some, so apart from what befalls servers. */
  private readonly failures: Random;
  private readonly queue = new EventQueue();
  private readonly policy: PolicyUnderTest;
  private readonly seed: number;
  private readonly workload: Workload;
  private readonly signals: Signals;
  private readonly waiting: WaitingCalls[];
  private readonly happenings: Happenings;
  private readonly scaling: ScalingInSim | undefined;
  private readonly tally: Tally;
  /** True calls in flight by server, those on their way there included. */
  private readonly assigned: Int32Array;
  private readonly fastest: number;
  private readonly samples: { times: number[]; inFlight: number[][] } | undefined;
  private clock = 0;
  private callsInAll = 0;
  private measuring = 0;

  constructor({ scenario, policy, seed, plot }: RunOptions) {
    this.scenario = scenario;
    this.policy = policy;
    this.seed = seed;
    this.workload = new Workload(scenario, seed);
    this.random = new Random(seed, Stream.SERVERS);
    this.failures = new Random(seed, Stream.FAILURES);
    for (const group of scenario.servers) {
      for (let n = 0; n < group.count; n++) {
        const server = new Server(this.servers.length, this.calls, group, scenario.discipline === 'shared');
        server.present = !group.standby;
        this.servers.push(server);
      }
    }
    this.fastest = Math.max(...this.servers.map(server => server.nominal));
    this.assigned = new Int32Array(this.servers.length);
    this.tally = new Tally(this.servers.length);
    const count = this.balancerCount();
    this.signals = new Signals({
      scenario,
      servers: this.servers,
      balancers: this.balancers,
      queue: this.queue,
      random: new Random(seed, Stream.REPORTS),
      count,
      probes: policy.probes === true,
      delay: (balancer, server) => this.delay(balancer, server),
    });
    this.waiting = Array.from({ length: count }, () => new WaitingCalls());
    this.happenings = new Happenings(this);
    if (scenario.scaling !== undefined) {
      this.scaling = new ScalingInSim(scenario.scaling, scenario.reportMs, this, this.happenings.notes);
    }
    if (plot === true) this.samples = { times: [], inFlight: this.servers.map(() => []) };
    for (let index = 0; index < count; index++) {
      this.balancers.push(policy.create(this, index, new Random(seed, Stream.BALANCERS + index)));
    }
    this.begin(count);
  }

  now(): number {
    return this.clock;
  }

  /** Balancers that run: one where the policy is central. */
  private balancerCount(): number {
    return this.policy.central === true ? 1 : this.scenario.balancers;
  }

  inFlightOf(server: number): number {
    return this.assigned[server] as number;
  }

  zoneOf(balancer: number): string {
    const { balancerZones } = this.scenario;
    return balancerZones.length === 0 ? '' : (balancerZones[balancer % balancerZones.length] as string);
  }

  probe(balancer: number, server: number): void {
    this.signals.probe(balancer, server, this.clock);
  }

  /** Runs to the end and gives the figures. */
  run(): RunResult {
    const { scenario, queue, tally, calls } = this;
    let next = this.workload.next(0);
    let last = scenario.fromMs;
    let open = true;
    let stop = Number.POSITIVE_INFINITY;
    while (this.clock < stop) {
      if (next <= queue.peek()) {
        this.clock = next;
        if (open) {
          const late = next >= scenario.untilMs || tally.calls >= scenario.calls;
          if (late) {
            open = false;
            stop = next + DRAIN_MS;
          } else last = next;
        } else if (this.measuring === 0) break;
        this.arrive(next, open && next >= scenario.fromMs);
        next = this.workload.next(next);
      } else {
        queue.pop();
        this.clock = queue.time;
        this.happen(queue.code, queue.subject);
      }
    }
    for (const call of calls.unfinished()) this.record(call, this.clock);
    const figures = tally.figures(last - scenario.fromMs);
    return {
      policy: this.policy.name,
      scenario: scenario.name,
      seed: this.seed,
      ...figures,
      simulatedMs: this.clock,
      callsInAll: this.callsInAll,
      notes: this.happenings.notes,
      ...(this.samples === undefined ? {} : { plot: this.plot(this.samples) }),
    };
  }

  private plot(samples: { times: number[]; inFlight: number[][] }): RunPlot {
    return { cdf: this.tally.cdf(), ...samples };
  }

  private begin(balancers: number): void {
    const { scenario, queue } = this;
    for (const server of this.servers) if (server.present) this.reachable(server.index);
    for (let index = 0; index < balancers; index++) {
      // Balancers do not tick in step.
      queue.push((TICK_MS * (index + 1)) / balancers, Event.TICK, index);
    }
    this.signals.begin();
    this.happenings.times.forEach((atMs, n) => {
      queue.push(atMs, Event.HAPPENING, n);
    });
    if (scenario.antagonists !== undefined) queue.push(0, Event.ANTAGONISTS, 0);
    if (this.samples !== undefined) queue.push(scenario.fromMs, Event.SAMPLE, 0);
  }

  private happen(code: number, subject: number): void {
    if (code === Event.AT_SERVER) this.atServer(subject);
    else if (code === Event.SERVED) this.served(subject);
    else if (code === Event.AT_BALANCER) this.atBalancer(subject);
    else if (code === Event.DEADLINE) this.deadline(subject);
    else if (code === Event.CANCEL_AT_SERVER) this.cancelAtServer(subject);
    else if (code === Event.REPORT) this.signals.report(subject, this.clock);
    else if (code === Event.REPORT_ARRIVES) this.signals.reportArrives(subject, this.clock);
    else if (code === Event.TICK) this.tick(subject);
    else if (code === Event.PROBE_AT_SERVER) this.signals.probeAtServer(subject, this.clock);
    else if (code === Event.PROBE_ARRIVES) this.signals.probeArrives(subject, this.clock);
    else if (code === Event.HAPPENING) this.happenings.happen(subject);
    else if (code === Event.ANTAGONISTS) this.antagonists();
    else this.takeSample();
  }

  private arrive(now: number, measured: boolean): void {
    const { calls, scenario } = this;
    this.callsInAll++;
    const call = calls.begin();
    const work = this.workload.drawWork();
    const balancer = this.workload.drawBalancer(this.balancers.length);
    calls.begun[call] = now;
    calls.work[call] = work;
    calls.demand[call] = work;
    calls.balancer[call] = balancer;
    calls.server[call] = -1;
    calls.failed[call] = 0;
    calls.measured[call] = measured ? 1 : 0;
    calls.stage[call] = Stage.WAITING;
    if (measured) {
      this.tally.calls++;
      this.measuring++;
    }
    if (scenario.deadlineMs > 0) {
      this.queue.push(
        now + scenario.deadlineMs,
        Event.DEADLINE,
        call | ((calls.lives[call] as number) << CALL_BITS),
      );
    }
    const queue = this.waiting[balancer] as WaitingCalls;
    if (queue.size > 0 || !this.place(call, now)) this.wait(call, balancer, now);
  }

  /** Nobody can take a call now. */
  private wait(call: number, balancer: number, now: number): void {
    const { scenario } = this;
    const queue = this.waiting[balancer] as WaitingCalls;
    const holder = this.balancers[balancer] as Balancer;
    const deadline = scenario.deadlineMs > 0 ? now + scenario.deadlineMs : Number.POSITIVE_INFINITY;
    if (scenario.waiting === 0) this.refuse(call);
    else if (holder.wait === undefined) queue.add(call);
    else if (!holder.wait(call, deadline, now)) this.refuse(call);
  }

  turn(call: number): boolean {
    return this.place(call, this.clock);
  }

  refuse(call: number): void {
    this.calls.failed[call] = 1;
    this.end(call, this.clock);
  }

  /** Lets the balancer choose. False: nobody can take the call now. */
  private place(call: number, now: number): boolean {
    const { calls } = this;
    const balancer = calls.balancer[call] as number;
    const server = (this.balancers[balancer] as Balancer).pick(call, now);
    if (server < 0) return false;
    calls.server[call] = server;
    calls.picked[call] = now;
    calls.stage[call] = Stage.ON_ITS_WAY;
    this.assigned[server] = (this.assigned[server] as number) + 1;
    if (calls.measured[call] === 1) this.tally.byServer[server] = (this.tally.byServer[server] as number) + 1;
    this.queue.push(now + this.delay(balancer, server), Event.AT_SERVER, call);
    return true;
  }

  /** Room came free: calls that wait are placed. */
  private retry(balancer: number, now: number): void {
    const queue = this.waiting[balancer] as WaitingCalls;
    while (queue.size > 0) {
      const call = queue.first();
      if (call < 0) return;
      if (!this.place(call, now)) return;
      queue.take();
    }
  }

  private delay(balancer: number, server: number): number {
    const { scenario } = this;
    if (scenario.balancerZones.length === 0) return scenario.delayMs;
    const same = this.zoneOf(balancer) === (this.servers[server] as Server).zone;
    return same ? scenario.delayMs : scenario.crossZoneMs;
  }

  private atServer(call: number): void {
    const { calls, clock } = this;
    const server = this.servers[calls.server[call] as number] as Server;
    if (calls.stage[call] === Stage.GIVEN_UP) {
      // Its cancellation is on its way.
      return;
    }
    if (!server.up) {
      this.answer(call, true);
      return;
    }
    calls.stage[call] = Stage.AT_SERVER;
    if (server.failShare > 0 && this.failures.next() < server.failShare) {
      calls.failed[call] = 1;
      calls.work[call] = server.failAfterMs * server.nominal;
    }
    calls.met[call] = server.inFlight;
    calls.arrived[call] = clock;
    if (server.arrive(call, clock)) this.foretell(server);
  }

  /** Says when the next call of a server ends, in place of what was said before. */
  foretell(server: Server): void {
    server.forecast = (server.forecast + 1) & FORECAST_MASK;
    const end = server.nextEnd();
    if (end === Number.POSITIVE_INFINITY) return;
    this.queue.push(end, Event.SERVED, server.index | (server.forecast << SERVER_BITS));
  }

  private served(subject: number): void {
    const server = this.servers[subject & SERVER_MASK] as Server;
    if (subject >>> SERVER_BITS !== server.forecast) return;
    const call = server.finish(this.clock);
    const failed = this.calls.failed[call] === 1;
    if (failed) server.failed++;
    this.signals.learn(call, this.calls, this.clock);
    this.answer(call, failed);
    this.foretell(server);
    if (this.policy.central === true) this.retry(0, this.clock);
  }

  /** The server is done with a call. */
  answer(call: number, failed: boolean): void {
    const { calls } = this;
    // Nobody waits for it any more; its cancellation is on its way and counts it out.
    if (calls.stage[call] === Stage.GIVEN_UP) return;
    const server = calls.server[call] as number;
    this.assigned[server] = (this.assigned[server] as number) - 1;
    if (failed) calls.failed[call] = 1;
    calls.stage[call] = Stage.COMING_BACK;
    this.queue.push(
      this.clock + this.delay(calls.balancer[call] as number, server),
      Event.AT_BALANCER,
      call | ((calls.lives[call] as number) << CALL_BITS),
    );
  }

  private atBalancer(subject: number): void {
    const { calls, clock } = this;
    const call = subject & CALL_MASK;
    if (calls.lives[call] !== subject >>> CALL_BITS || calls.stage[call] !== Stage.COMING_BACK) return;
    this.tell(call, calls.failed[call] === 1 ? Outcome.FAILURE : Outcome.SUCCESS);
    this.end(call, clock);
  }

  private tell(call: number, outcome: Outcome): void {
    const { calls, clock } = this;
    const index = calls.balancer[call] as number;
    const balancer = this.balancers[index] as Balancer;
    const server = calls.server[call] as number;
    balancer.ended(call, server, clock, outcome, clock - (calls.picked[call] as number));
    if ((this.waiting[index] as WaitingCalls).size > 0) this.retry(index, clock);
  }

  private deadline(subject: number): void {
    const { calls } = this;
    const call = subject & CALL_MASK;
    if (calls.lives[call] !== subject >>> CALL_BITS) return;
    const stage = calls.stage[call];
    if (stage === Stage.FREE || stage === Stage.GIVEN_UP) return;
    calls.failed[call] = 1;
    if (stage === Stage.WAITING) {
      const balancer = calls.balancer[call] as number;
      const holder = this.balancers[balancer] as Balancer;
      if (holder.forgo === undefined) (this.waiting[balancer] as WaitingCalls).drop(call);
      else holder.forgo(call);
      this.record(call, this.clock, true);
      calls.end(call);
      return;
    }
    this.record(call, this.clock, true);
    this.tell(call, Outcome.FAILURE);
    if (stage === Stage.COMING_BACK) {
      calls.end(call);
      return;
    }
    calls.stage[call] = Stage.GIVEN_UP;
    const delay = this.delay(calls.balancer[call] as number, calls.server[call] as number);
    this.queue.push(this.clock + delay, Event.CANCEL_AT_SERVER, call);
  }

  private cancelAtServer(call: number): void {
    const { calls } = this;
    const index = calls.server[call] as number;
    const server = this.servers[index] as Server;
    this.assigned[index] = (this.assigned[index] as number) - 1;
    if (server.cancel(call, this.clock)) this.foretell(server);
    calls.end(call);
    if (this.policy.central === true) this.retry(0, this.clock);
  }

  private end(call: number, now: number): void {
    this.record(call, now);
    this.calls.end(call);
  }

  /** Counts a measured call, once. */
  private record(call: number, now: number, gaveUp = false): void {
    const { calls, tally, scenario } = this;
    if (calls.measured[call] === 0) return;
    calls.measured[call] = 0;
    this.measuring--;
    const latency = now - (calls.begun[call] as number);
    const failed = calls.failed[call] === 1;
    if (failed) tally.failed++;
    else if (calls.stage[call] === Stage.COMING_BACK) tally.served++;
    // A call that was refused or failed at once says nothing about waiting; one given up has waited.
    if (failed && !gaveUp) return;
    const served = (calls.demand[call] as number) / this.fastest;
    tally.add(latency, Math.max(0, latency - served - 2 * scenario.delayMs));
  }

  private tick(index: number): void {
    this.queue.push(this.clock + TICK_MS, Event.TICK, index);
    const balancer = this.balancers[index] as Balancer;
    balancer.tick?.(this.clock);
    if (index === 0) this.scaling?.tick(this.clock);
    if ((this.waiting[index] as WaitingCalls).size > 0) this.retry(index, this.clock);
  }

  private antagonists(): void {
    const { antagonists } = this.scenario;
    if (antagonists === undefined) return;
    let hit = Math.round(antagonists.share * this.servers.length);
    let left = this.servers.length;
    for (const server of this.servers) {
      const isHit = this.random.next() * left-- < hit;
      if (isHit) hit--;
      this.happenings.antagonist(server, isHit ? antagonists.factor : 1);
    }
    this.queue.push(this.clock + antagonists.everyMs, Event.ANTAGONISTS, 0);
  }

  private takeSample(): void {
    const { samples, scenario, clock } = this;
    if (samples === undefined) return;
    samples.times.push(clock);
    for (const server of this.servers) samples.inFlight[server.index]?.push(server.inFlight);
    const windowMs = Math.min(scenario.untilMs - scenario.fromMs, 60_000);
    if (clock < scenario.fromMs + windowMs) this.queue.push(clock + windowMs / SAMPLES, Event.SAMPLE, 0);
  }

  /** A server takes no more calls. */
  drain(index: number): void {
    for (const balancer of this.balancers) {
      if (balancer.drain === undefined) balancer.leave(index, this.clock);
      else balancer.drain(index, this.clock);
    }
  }

  /** A server can be reached from now on. */
  reachable(index: number): void {
    this.signals.connect(this.servers[index] as Server, this.clock);
    for (const balancer of this.balancers) balancer.join(index, this.clock);
  }
}
