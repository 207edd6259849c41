/**
 * Calls by method, as callers see them. A path is a caller's word: it counts by itself once a backend has served it,
 * so that who calls what is not there does not use up the rows of those who do.
 */
import { METRIC_LIMITS } from '../../core/limits.ts';
import { STATUS_NAMES, Status } from '../../grpc/status.ts';
import { OTHER } from './attempts.ts';
import { labels } from './labels.ts';
import { Latencies } from './latency.ts';
import { CODES } from './rows.ts';

export interface MethodRow {
  readonly labels: string;
  readonly row: number;
}

export interface DurationRow {
  readonly labels: string;
  readonly row: number;
}

export class Methods {
  /** Calls that ended, by row and code. */
  readonly codes = new Float64Array((METRIC_LIMITS.methods + 1) * CODES);
  /** Durations by row of a pair of service and code. */
  readonly durations = new Latencies();
  readonly rows: MethodRow[] = [];
  readonly durationRows: DurationRow[] = [];
  /** By method's row: its service. */
  private readonly services: number[] = [];
  private readonly serviceNames: string[] = [];
  /** By service and code; −1: none yet. */
  private readonly durationOf: number[] = [];
  private readonly byPath = new Map<string, number>();
  private durationCapacity = 0;

  constructor() {
    this.add(OTHER, OTHER);
  }

  get isFull(): boolean {
    return this.rows.length > METRIC_LIMITS.methods;
  }

  /** @param served whether a backend has answered it @returns the row of `durations` that it counts in */
  ended(path: string, code: number, ms: number, served: boolean): number {
    const row = this.byPath.get(path) ?? this.meet(path, code, served);
    const at = row * CODES + (code >= 0 && code < CODES ? code : 2);
    this.codes[at] = (this.codes[at] as number) + 1;
    const cell = (this.services[row] as number) * CODES + (code >= 0 && code < CODES ? code : 2);
    const known = this.durationOf[cell] as number;
    const duration = known >= 0 ? known : this.addDuration(cell);
    this.durations.add(duration, ms);
    return duration;
  }

  private meet(path: string, code: number, served: boolean): number {
    if (!served || code === Status.UNIMPLEMENTED || this.isFull) return 0;
    const slash = path.indexOf('/', 1);
    const row =
      slash < 0 ? this.add(path.slice(1), '') : this.add(path.slice(1, slash), path.slice(slash + 1));
    this.byPath.set(path, row);
    return row;
  }

  private add(service: string, method: string): number {
    const row = this.rows.length;
    this.rows.push({ labels: labels({ service, method }), row });
    let at = this.serviceNames.indexOf(service);
    if (at < 0) {
      at = this.serviceNames.push(service) - 1;
      for (let code = 0; code < CODES; code++) this.durationOf.push(-1);
    }
    this.services.push(at);
    return row;
  }

  private addDuration(cell: number): number {
    const row = this.durationRows.length;
    if (row === this.durationCapacity) {
      this.durationCapacity = Math.max(16, row * 2);
      this.durations.grow(this.durationCapacity);
    }
    const service = this.serviceNames[Math.floor(cell / CODES)] as string;
    this.durationRows.push({ labels: labels({ service, code: STATUS_NAMES[cell % CODES] as string }), row });
    this.durationOf[cell] = row;
    return row;
  }
}
