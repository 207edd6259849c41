/**
 * Points of many rows in time: a near past in small steps, and a far past of which each point follows from
 * several of the near. All rows have the same times, so that a step of all of them is one move of the head.
 */
import { HISTORY_LIMITS } from '../../core/limits.ts';
import type { SeriesInfo } from './series.ts';

const { stepMs, points: NEAR, folded, farPoints: FAR } = HISTORY_LIMITS;

/** Points in time, oldest first. NaN is unknown: from before the row, or a figure that there was not. */
export interface HistoryWindow {
  /** Time between two points, ms. */
  readonly stepMs: number;
  /** End of the time that each point is of, wall clock, ms since 1970. */
  readonly times: readonly number[];
  readonly values: Readonly<Record<string, Float32Array>>;
}

/** When the points of all rings were; their steps are the same. */
export class Timeline {
  /** Steps since the start; the point of step `n` is at `n % NEAR`. */
  steps = 0;
  private readonly near = new Float64Array(NEAR);
  private readonly far = new Float64Array(FAR);

  /** The place that the next step's points are written to; nobody reads it before `commit`. */
  get at(): number {
    return this.steps % NEAR;
  }

  /** The place of the last step's points. */
  get last(): number {
    return (this.steps + NEAR - 1) % NEAR;
  }

  /** The place in the far past that the next step completes; −1 where it completes none. */
  get farAt(): number {
    return (this.steps + 1) % folded === 0 ? ((this.steps + 1) / folded - 1) % FAR : -1;
  }

  /** @param wall end of the step, ms since 1970 */
  commit(wall: number): void {
    this.near[this.at] = wall;
    if (this.farAt >= 0) this.far[this.farAt] = wall;
    this.steps++;
  }

  /** The time that the last points cover, ms; 0 where there are fewer than two. */
  spanMs(most: number): number {
    const count = Math.min(this.steps, most, NEAR - 1);
    if (count < 2) return 0;
    const first = this.near[(this.steps - count) % NEAR] as number;
    // Each point is of the time before it.
    return (((this.near[this.last] as number) - first) * count) / (count - 1);
  }

  /** Places of the points of the last `spanMs`, oldest first, in the near past where that reaches as far. */
  places(spanMs: number): { readonly isFar: boolean; readonly at: number[]; readonly times: number[] } {
    const isFar = spanMs > stepMs * NEAR;
    // The place that is written to next is being written to.
    const size = isFar ? FAR : NEAR;
    const done = isFar ? Math.floor(this.steps / folded) : this.steps;
    const wanted = Math.ceil(spanMs / (isFar ? stepMs * folded : stepMs));
    const count = Math.min(done, size - 1, Math.max(1, wanted));
    const at = Array.from({ length: count }, (_, n) => (done - count + n) % size);
    const times = isFar ? this.far : this.near;
    return { isFar, at, times: at.map(place => times[place] as number) };
  }
}

/** The rows of one scope: one a backend, pool or instance. */
export class Ring<Name extends string> {
  readonly names: readonly Name[];
  /** Where the points of a series begin in a row. */
  private readonly starts: Readonly<Record<Name, number>>;
  private readonly infos: readonly SeriesInfo[];
  private readonly timeline: Timeline;
  private readonly most: number;
  /** By key; a row is fields × (near + far) points, those of one field together. */
  private readonly rows = new Map<string, Float32Array>();
  /** By key, the round that the row was written in last: a set anew for each round would be garbage. */
  private readonly writtenIn = new Map<string, number>();
  private round = 0;
  /** Rows that were written in this round. */
  private written = 0;

  constructor(series: Readonly<Record<Name, SeriesInfo>>, timeline: Timeline, most: number) {
    this.names = Object.keys(series) as Name[];
    this.starts = Object.fromEntries(this.names.map((name, field) => [name, field * (NEAR + FAR)])) as Record<
      Name,
      number
    >;
    this.infos = Object.values(series);
    this.timeline = timeline;
    this.most = most;
  }

  keys(): Iterable<string> {
    return this.rows.keys();
  }

  get size(): number {
    return this.rows.size;
  }

  has(key: string): boolean {
    return this.rows.has(key);
  }

  get isFull(): boolean {
    return this.rows.size >= this.most;
  }

  /** Writes the points of the step under way; false where there is no room for one more row. */
  write(key: string, values: Readonly<Record<Name, number>>): boolean {
    let row = this.rows.get(key);
    if (row === undefined) {
      if (this.rows.size >= this.most) return false;
      row = new Float32Array(this.names.length * (NEAR + FAR)).fill(Number.NaN);
      this.rows.set(key, row);
    }
    if (this.writtenIn.get(key) !== this.round) this.written++;
    this.writtenIn.set(key, this.round);
    const { at, farAt } = this.timeline;
    for (let field = 0; field < this.names.length; field++) {
      const start = field * (NEAR + FAR);
      row[start + at] = values[this.names[field] as Name];
      if (farAt >= 0) row[start + NEAR + farAt] = foldOf(row, start, at, this.infos[field] as SeriesInfo);
    }
    return true;
  }

  /** All rows of the step are written: those that were not are of what is there no more. */
  dropUnwritten(): void {
    if (this.written < this.rows.size) {
      for (const [key, round] of this.writtenIn) {
        if (round === this.round) continue;
        this.rows.delete(key);
        this.writtenIn.delete(key);
      }
    }
    this.round++;
    this.written = 0;
  }

  /** The last point of a series; NaN where there is none. */
  last(key: string, name: Name): number {
    const row = this.rows.get(key);
    if (row === undefined) return Number.NaN;
    return row[this.starts[name] + this.timeline.last] as number;
  }

  /** The last points of a series that are known, oldest first, into `into`. Returns how many. */
  recent(key: string, name: Name, most: number, into: Float32Array): number {
    const row = this.rows.get(key);
    if (row === undefined) return 0;
    const { steps } = this.timeline;
    const start = this.starts[name];
    const first = Math.max(0, steps - Math.min(most, NEAR - 1));
    let count = 0;
    for (let step = first, at = first % NEAR; step < steps; step++) {
      const value = row[start + at] as number;
      if (!Number.isNaN(value)) into[count++] = value;
      if (++at === NEAR) at = 0;
    }
    return count;
  }

  /** Undefined where the key has no history. */
  read(key: string, spanMs: number, names: readonly Name[] = this.names): HistoryWindow | undefined {
    const row = this.rows.get(key);
    if (row === undefined) return undefined;
    const { isFar, at, times } = this.timeline.places(spanMs);
    const values: Record<string, Float32Array> = {};
    for (const name of names) {
      const field = this.names.indexOf(name);
      if (field < 0) continue;
      const start = field * (NEAR + FAR) + (isFar ? NEAR : 0);
      values[name] = Float32Array.from(at, place => row[start + place] as number);
    }
    return { stepMs: isFar ? stepMs * folded : stepMs, times, values };
  }
}

/** The point of the far past that the step at `at` completes; of figures that there were. */
function foldOf(row: Float32Array, start: number, at: number, { fold }: SeriesInfo): number {
  let sum = 0;
  let most = Number.NaN;
  let count = 0;
  for (let back = 0; back < folded; back++) {
    const value = row[start + ((at - back + NEAR) % NEAR)] as number;
    if (Number.isNaN(value)) continue;
    sum += value;
    count++;
    if (!(most >= value)) most = value;
  }
  return fold === 'max' ? most : count === 0 ? Number.NaN : sum / count;
}
