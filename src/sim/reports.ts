/**
 * Load reports on their way: one stream for each server and balancer, phases and intervals jittered. A
 * report is made at the server, and what it holds is of then; it arrives one delay later.
 */
import type { LoadSample } from '../core/core.ts';
import type { Random } from './random.ts';
import type { Reports } from './scenario.ts';
import type { Server } from './server.ts';

/** An interval is up to this share longer or shorter. */
const JITTER = 0.1;

const CELLS = 8;
// What a stream told last, and what is on its way.
const TIME = 0;
const BUSY = 1;
const COMPLETED = 2;
const FAILED = 3;
const IN_FLIGHT = 4;
const UTILIZATION = 5;
const RPS = 6;
const EPS = 7;

export class ReportStreams {
  private readonly cells: Float64Array;
  private readonly windows: Float64Array;
  private readonly intervalMs: number;
  private readonly random: Random;
  private readonly sample: LoadSample = {
    inFlight: Number.NaN,
    utilization: Number.NaN,
    rps: Number.NaN,
    eps: Number.NaN,
    windowMs: Number.NaN,
  };

  constructor(streams: number, intervalMs: number, random: Random) {
    this.cells = new Float64Array(streams * CELLS);
    this.windows = new Float64Array(streams);
    this.intervalMs = intervalMs;
    this.random = random;
  }

  /** Time to the first report of a stream. */
  phase(): number {
    return this.random.next() * this.intervalMs;
  }

  interval(): number {
    return this.intervalMs * (1 + JITTER * (2 * this.random.next() - 1));
  }

  /** A stream begins, or begins anew: what it tells next is since now. */
  begin(stream: number, server: Server, now: number): void {
    const at = stream * CELLS;
    this.cells[at + TIME] = now;
    this.cells[at + BUSY] = server.busyAt(now);
    this.cells[at + COMPLETED] = server.completed;
    this.cells[at + FAILED] = server.failed;
  }

  /** Makes the report of a stream. */
  make(stream: number, server: Server, { inFlight, noise, power, ...told }: Reports, now: number): void {
    const { cells } = this;
    const at = stream * CELLS;
    const windowMs = now - (cells[at + TIME] as number);
    const busy = server.busyAt(now) - (cells[at + BUSY] as number);
    const ended = server.completed - (cells[at + COMPLETED] as number);
    const failed = server.failed - (cells[at + FAILED] as number);
    this.begin(stream, server, now);
    this.windows[stream] = windowMs;
    let utilization = windowMs > 0 ? busy / (server.slots * windowMs) : 0;
    if (power !== 1) utilization **= power;
    if (noise > 0) utilization *= Math.exp(noise * this.random.normal());
    cells[at + IN_FLIGHT] = inFlight ? (told.claimInFlight ?? server.inFlight) : Number.NaN;
    cells[at + UTILIZATION] = told.claimUtilization ?? utilization;
    cells[at + RPS] = windowMs > 0 ? (ended * 1000) / windowMs : 0;
    cells[at + EPS] = windowMs > 0 ? (failed * 1000) / windowMs : 0;
  }

  /** The report of a stream that is on its way; the object is used again. */
  arrived(stream: number): LoadSample {
    const { cells, sample } = this;
    const at = stream * CELLS;
    sample.inFlight = cells[at + IN_FLIGHT] as number;
    sample.utilization = cells[at + UTILIZATION] as number;
    sample.rps = cells[at + RPS] as number;
    sample.eps = cells[at + EPS] as number;
    sample.windowMs = this.windows[stream] as number;
    return sample;
  }
}
