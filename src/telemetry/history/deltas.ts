/** What has been counted since the last step. */
import { Outcome } from '../../core/core.ts';
import { outcomeOf, STATUS_NAMES } from '../../grpc/status.ts';
import { BUCKETS, Latencies, takeSince } from '../metrics/latency.ts';
import { type CallRows, CODES } from '../metrics/rows.ts';

/** Codes that say that a backend, or we, failed. */
const FAILURES: readonly number[] = STATUS_NAMES.map((_, code) => code).filter(
  code => outcomeOf(code) === Outcome.FAILURE,
);

/** Of one thing and step, or of several added up. */
export class Tally {
  ended = 0;
  failed = 0;
  readonly latencies = new Float64Array(BUCKETS);

  clear(): void {
    this.ended = this.failed = 0;
    this.latencies.fill(0);
  }
}

/** Of the rows of one kind, as they were at the last step. */
export class RowDeltas {
  private readonly rows: CallRows;
  private readonly latencies = new Latencies();
  private failed = new Float64Array(0);

  constructor(rows: CallRows) {
    this.rows = rows;
  }

  /** Adds what a row has counted since it was taken last. */
  take(row: number, into: Tally): void {
    if (row >= this.failed.length) this.grow();
    into.ended += takeSince(this.rows.latencies, row, this.latencies, into.latencies);
    let failed = 0;
    for (const code of FAILURES) failed += this.rows.codes[row * CODES + code] as number;
    into.failed += Math.max(0, failed - (this.failed[row] as number));
    this.failed[row] = failed;
  }

  private grow(): void {
    const size = this.rows.inFlight.length;
    this.latencies.grow(size);
    const wider = new Float64Array(size);
    wider.set(this.failed);
    this.failed = wider;
  }
}

/** Counters by name, and how much they have grown since the last step. */
export class Growth {
  private last = new Map<string, number>();
  private next = new Map<string, number>();

  /** NaN where it is told of for the first time. */
  of(name: string, value: number): number {
    this.next.set(name, value);
    return Math.max(0, value - (this.last.get(name) ?? Number.NaN));
  }

  /** The step is over; what was not told of in it is forgotten. */
  turn(): void {
    const { last } = this;
    this.last = this.next;
    this.next = last;
    this.next.clear();
  }
}
