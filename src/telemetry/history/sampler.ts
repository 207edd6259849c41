/** Writes the history: each step what was counted since the last one, and how things stand. */
import type { ControlCounters } from '../../control/control.ts';
import type { ServerView } from '../../core/core.ts';
import { HISTORY_LIMITS } from '../../core/limits.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { Pool } from '../../core/pool.ts';
import { SCORE } from '../../core/score.ts';
import type { BackendGauges, TransparentProxy } from '../../proxy/proxy.ts';
import type { History } from '../history.ts';
import type { Attempts } from '../metrics/attempts.ts';
import type { CallCounter } from '../metrics/call-counter.ts';
import { quantile } from '../metrics/latency.ts';
import type { Runtime } from '../runtime.ts';
import { Slices } from '../slices.ts';
import { Growth, RowDeltas, Tally } from './deltas.ts';
import type { BackendSeries, InstanceSeries, PoolSeries } from './series.ts';

/** What the figures come from. */
export interface Observed {
  readonly mesh: Mesh;
  readonly proxy: TransparentProxy;
  readonly control: { readonly counters: ControlCounters };
  readonly calls: CallCounter;
  readonly runtime: Runtime;
  /** The log of changes. */
  readonly log: { status(): { readonly state: string; readonly pending: number } };
  /** Spans that were recorded and did not reach the collector. */
  readonly spansDropped: () => number;
  /** Wall clock, ms since 1970. */
  readonly wall: () => number;
}

export class Sampler {
  private readonly history: History;
  private readonly seen: Observed;
  private readonly onError: (error: unknown) => void;
  private readonly attempts: Attempts;
  private readonly pairDeltas: RowDeltas;
  private readonly poolDeltas: RowDeltas;
  private readonly growth = new Growth();
  /** By slot: picks of its life, and which life that was. */
  private picks = new Float64Array(0);
  private lives = new Int32Array(0);
  private readonly tally = new Tally();
  private readonly total = new Tally();
  private readonly gauges: BackendGauges = { connections: 0, streams: 0, full: 0, stalled: 0, waiting: 0 };
  private at: number;
  private seconds = 1;
  private stepping: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(history: History, seen: Observed, onError: (error: unknown) => void) {
    this.history = history;
    this.seen = seen;
    this.onError = onError;
    this.attempts = seen.calls.attempts;
    this.pairDeltas = new RowDeltas(this.attempts.rows);
    this.poolDeltas = new RowDeltas(this.attempts.poolRows);
    this.at = seen.mesh.now();
  }

  start(): void {
    this.timer = setInterval(() => {
      // A step that has not ended is of a loop that is late: one more would make it later.
      if (this.stepping === undefined) this.step().catch(this.onError);
    }, HISTORY_LIMITS.stepMs);
    this.timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.stepping;
  }

  /** Writes one step; resolves when it can be read. */
  step(): Promise<void> {
    this.stepping ??= this.write().finally(() => {
      this.stepping = undefined;
    });
    return this.stepping;
  }

  private async write(): Promise<void> {
    const { mesh, runtime, wall } = this.seen;
    const now = mesh.now();
    runtime.step();
    this.seconds = Math.max(0.001, (now - this.at) / 1000);
    this.at = now;
    this.total.clear();
    const slices = new Slices(HISTORY_LIMITS.sliceMs);
    const backends = await this.writeBackends(slices);
    const { waiting, upstreams } = backends;
    await this.writePools(slices);
    this.history.instance.write('', this.instancePoint(waiting, upstreams));
    this.growth.turn();
    this.attempts.tidy(now);
    this.history.commit(wall());
  }

  private async writeBackends(slices: Slices): Promise<{ waiting: number; upstreams: number }> {
    const { mesh, proxy } = this.seen;
    const ring = this.history.backend;
    const wasFull = ring.isFull;
    let waiting = 0;
    let upstreams = 0;
    let looked = 0;
    for (const view of mesh.registry.list()) {
      if ((++looked & 15) === 0 && slices.isOver) await slices.pause();
      const { id } = view.spec;
      const slot = mesh.slotOf(id);
      if (slot < 0) continue;
      proxy.gaugeBackend(slot, this.gauges);
      if (ring.has(id)) {
        ring.write(id, this.backendPoint(view, slot));
      } else if (!ring.isFull) {
        // What it did while there was no room for it is of no step.
        if (wasFull) this.backendPoint(view, slot);
        ring.write(id, this.backendPoint(view, slot));
      }
      waiting += this.gauges.waiting;
      upstreams += this.gauges.connections;
    }
    ring.dropUnwritten();
    return { waiting, upstreams };
  }

  /** Its gauges are read already. */
  private backendPoint(view: ServerView, slot: number): Record<BackendSeries, number> {
    const { mesh } = this.seen;
    const { loads } = mesh;
    const { tally, gauges, attempts } = this;
    tally.clear();
    let score = Number.NaN;
    for (const { pool } of loads.membersOf(slot)) {
      const row = attempts.poolRow(pool as Pool).rows[slot] ?? -1;
      if (row >= 0) this.pairDeltas.take(row, tally);
      if (Number.isNaN(score)) score = (pool as Pool).scoreOf(slot);
    }
    const age = this.at - (loads.reportTime[slot] as number);
    const reports = age < Number.POSITIVE_INFINITY;
    const isPickable = view.state === 'ACTIVE' || view.state === 'WARMING';
    return {
      rps: tally.ended / this.seconds,
      errors: tally.failed / this.seconds,
      p50: quantile(tally.latencies, 0.5),
      p99: quantile(tally.latencies, 0.99),
      inFlight: loads.own(slot),
      others: reports ? Math.max(0, loads.others[slot] as number) : 0,
      utilization: reports ? (loads.utilization[slot] as number) : Number.NaN,
      reportedRps: reports ? (loads.rps[slot] as number) : Number.NaN,
      capacity: (loads.capacity[slot] as number) > 0 ? (loads.capacity[slot] as number) : Number.NaN,
      queue: gauges.waiting,
      connections: gauges.connections,
      streamsFull: gauges.full,
      blocked: gauges.stalled,
      score: isPickable ? score : Number.NaN,
      failure: loads.failureNow(slot, this.at),
      reportAge: reports ? age : Number.NaN,
      reportInterval: reports ? (loads.intervalMs[slot] as number) : Number.NaN,
      picks: this.picksSince(slot) / this.seconds,
    };
  }

  private picksSince(slot: number): number {
    const { loads } = this.seen.mesh;
    if (slot >= this.picks.length) {
      const size = Math.max(64, slot + 1, this.picks.length * 2);
      const picks = new Float64Array(size);
      picks.set(this.picks);
      this.picks = picks;
      const lives = new Int32Array(size).fill(-1);
      lives.set(this.lives);
      this.lives = lives;
    }
    const picks = loads.picksOf(slot);
    const life = loads.generationOf(slot);
    // What was picked before the first step is of no step.
    const first = this.history.steps === 0 ? picks : 0;
    const before = this.lives[slot] === life ? (this.picks[slot] as number) : first;
    this.picks[slot] = picks;
    this.lives[slot] = life;
    return Math.max(0, picks - before);
  }

  private async writePools(slices: Slices): Promise<void> {
    const ring = this.history.pool;
    for (const pool of [...this.seen.mesh.pools()]) {
      if (slices.isOver) await slices.pause();
      ring.write(pool.service, await this.poolPoint(pool, slices));
    }
    ring.dropUnwritten();
  }

  private async poolPoint(pool: Pool, slices: Slices): Promise<Record<PoolSeries, number>> {
    const { tally, total, attempts, growth, seconds } = this;
    const row = attempts.poolRow(pool);
    const { inFlight, queue, ...members } = await this.membersOf(pool, slices);
    tally.clear();
    this.poolDeltas.take(row.row, tally);
    total.ended += tally.ended;
    total.failed += tally.failed;
    for (const [bucket, count] of tally.latencies.entries()) {
      total.latencies[bucket] = (total.latencies[bucket] as number) + count;
    }
    const { service } = pool;
    const grown = (what: string, value: number): number => growth.of(`${what} ${service}`, value) / seconds;
    return {
      rps: tally.ended / seconds,
      errors: tally.failed / seconds,
      p50: quantile(tally.latencies, 0.5),
      p99: quantile(tally.latencies, 0.99),
      inFlight,
      queue: queue + pool.queue.size,
      ...members,
      size: pool.size,
      eligible: pool.eligible,
      rootChanges: grown('root', pool.rootChanges),
      picks: grown('picks', pool.picks),
      retries: grown('retries', attempts.retries[row.row] as number),
      refused: grown('refused', attempts.refused[row.row] as number),
    };
  }

  private async membersOf(pool: Pool, slices: Slices) {
    const { loads } = this.seen.mesh;
    let reporting = 0;
    let utilization = 0;
    let utilizationMax = Number.NaN;
    let stale = 0;
    let reportLag = 0;
    let inFlight = 0;
    let queue = 0;
    let scoreLow = Number.POSITIVE_INFINITY;
    let scoreHigh = Number.NEGATIVE_INFINITY;
    let loadMax = 0;
    let loadSum = 0;
    let counted = 0;
    let looked = 0;
    for (const slot of [...pool.members()]) {
      if ((++looked & 63) === 0 && slices.isOver) await slices.pause();
      const member = pool.memberAt(slot);
      if (member < 0) continue;
      inFlight += loads.own(slot);
      this.seen.proxy.gaugeBackend(slot, this.gauges);
      queue += this.gauges.waiting;
      if (pool.isOut(member)) continue;
      counted++;
      const score = pool.scoreOf(slot);
      if (score < scoreLow) scoreLow = score;
      if (score > scoreHigh) scoreHigh = score;
      const load = pool.inFlight(member) / pool.weightOf(member);
      loadSum += load;
      if (load > loadMax) loadMax = load;
      const age = this.at - (loads.reportTime[slot] as number);
      if (!(age < Number.POSITIVE_INFINITY)) continue;
      const interval = loads.intervalMs[slot] as number;
      if (interval > 0) reportLag = Math.max(reportLag, age - interval);
      if (interval > 0 && age > SCORE.staleIntervals * interval) stale++;
      const told = loads.utilization[slot] as number;
      if (!(told > 0)) continue;
      reporting++;
      utilization += told;
      if (!(utilizationMax >= told)) utilizationMax = told;
    }
    const zones = pool.zones.reduce((sum, zone) => sum + zone.order.size, 0);
    return {
      inFlight,
      queue,
      utilization: reporting > 0 ? utilization / reporting : Number.NaN,
      utilizationMax,
      heap: zones,
      stale,
      reportLag,
      scoreLow: counted > 0 ? scoreLow : Number.NaN,
      scoreHigh: counted > 0 ? scoreHigh : Number.NaN,
      spread: loadSum > 0 ? (loadMax * counted) / loadSum : Number.NaN,
    };
  }

  private instancePoint(waiting: number, upstreams: number): Record<InstanceSeries, number> {
    const { proxy, control, runtime, calls } = this.seen;
    const { total, growth, seconds } = this;
    const { connections, stalled, calls: inFlight } = proxy.gauges();
    const { delayP99, delayMax, busy, cpu, gc } = runtime.last;
    const memory = process.memoryUsage();
    const { pools } = calls.carried(proxy);
    const grown = (name: string, value: number): number => growth.of(name, value) / seconds;
    const log = this.seen.log.status();
    return {
      rps: total.ended / seconds,
      errors: total.failed / seconds,
      p50: quantile(total.latencies, 0.5),
      p99: quantile(total.latencies, 0.99),
      inFlight,
      queue: waiting,
      connections,
      stalledCallers: stalled,
      upstreams,
      received: grown('received', sum(pools.sentBytes)),
      sent: grown('sent', sum(pools.receivedBytes)),
      picks: grown('picked', control.counters.picked),
      reports: grown('reports', control.counters.reports),
      loopDelay: delayP99,
      loopDelayMax: delayMax,
      loopBusy: busy,
      cpu,
      memory: memory.rss,
      heapUsed: memory.heapUsed,
      spansDropped: grown('spans', this.seen.spansDropped()),
      gc,
      logPending: log.pending,
      logBehind: Number(log.state !== 'healthy'),
    };
  }
}

function sum(values: Float64Array): number {
  let all = 0;
  for (const value of values) all += value;
  return all;
}
