/** A flood of the same fault: the first lines are written, the rest is counted and told by one line. */
import { LOG_LIMITS } from '../../core/limits.ts';

interface Fault {
  count: number;
  readonly until: number;
  /** Of the line that came last. */
  fields: Readonly<Record<string, unknown>>;
  readonly message: string;
  readonly tell: Tell;
}

/** Writes the line for those that were counted. */
export type Tell = (message: string, fields: Readonly<Record<string, unknown>>) => void;

/** Stands for all faults beyond those that are told apart. */
const OTHERS = '';

export class Folding {
  private readonly faults = new Map<string, Fault>();
  private readonly now: () => number;
  private timer: NodeJS.Timeout | undefined;
  /** Lines that were counted and not written. */
  folded = 0;

  /** @param now monotonic clock, ms */
  constructor(now: () => number) {
    this.now = now;
  }

  /** True: the line is to be written. @param key what makes two lines the same */
  passes(key: string, message: string, fields: Readonly<Record<string, unknown>>, tell: Tell): boolean {
    const now = this.now();
    const known = this.faults.has(key) || this.faults.size < LOG_LIMITS.faults ? key : OTHERS;
    let fault = this.faults.get(known);
    if (fault !== undefined && now >= fault.until) {
      this.conclude(known, fault);
      fault = undefined;
    }
    if (fault === undefined) {
      fault = { count: 0, until: now + LOG_LIMITS.foldMs, fields, message, tell };
      this.faults.set(known, fault);
      this.arm();
    }
    fault.fields = fields;
    if (++fault.count <= LOG_LIMITS.sameLines) return true;
    this.folded++;
    return false;
  }

  /** Tells of all that was counted. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const [key, fault] of this.faults) this.conclude(key, fault);
  }

  private conclude(key: string, { count, fields, message, tell }: Fault): void {
    this.faults.delete(key);
    const more = count - LOG_LIMITS.sameLines;
    if (more <= 0) return;
    const what = key === OTHERS ? 'other faults' : message;
    tell(`${more} more in ${LOG_LIMITS.foldMs / 1000} s: ${what}`, { ...fields, folded: more });
  }

  private arm(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const now = this.now();
      for (const [key, fault] of this.faults) if (now >= fault.until) this.conclude(key, fault);
      if (this.faults.size > 0) this.arm();
    }, LOG_LIMITS.foldMs).unref();
  }
}
