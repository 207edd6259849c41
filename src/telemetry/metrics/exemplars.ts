/** The last traced call of each bucket of each row: who looks at a slow bucket finds a trace of it. */
import { BOUNDS, toldBucketOf } from './latency.ts';

export interface Exemplar {
  readonly traceId: string;
  readonly seconds: number;
  /** ms since 1970. */
  readonly wall: number;
}

export class Exemplars {
  private readonly rows: ((Exemplar | undefined)[] | undefined)[] = [];

  add(row: number, exemplar: Exemplar): void {
    let buckets = this.rows[row];
    if (buckets === undefined) {
      buckets = new Array<Exemplar | undefined>(BOUNDS.length + 1).fill(undefined);
      this.rows[row] = buckets;
    }
    buckets[toldBucketOf(exemplar.seconds * 1000)] = exemplar;
  }

  of(row: number): readonly (Exemplar | undefined)[] | undefined {
    return this.rows[row];
  }
}
