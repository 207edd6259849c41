/** What is wrong with a request, collected field by field, so that a caller learns all of it at once. */
import { Status } from '../grpc/status.ts';
import { type FieldViolation, RpcError } from './rpc.ts';

/** More than this many are a client gone wrong; the first ones tell enough. */
const MOST_VIOLATIONS = 16;

export class Checks {
  private readonly violations: FieldViolation[] = [];

  fail(field: string, description: string): void {
    if (this.violations.length < MOST_VIOLATIONS) this.violations.push({ field, description });
  }

  /** False, with a violation noted, where a string has more bytes of UTF-8 than `most`. */
  length(field: string, text: string, most: number): boolean {
    // A UTF-16 unit takes at most three bytes: short strings need no count.
    if (text.length * 3 <= most || Buffer.byteLength(text) <= most) return true;
    this.fail(field, `at most ${most} bytes`);
    return false;
  }

  /** A finite number from `least` to `most`. */
  range(field: string, value: number, least: number, most: number): void {
    // Comparisons with NaN are false.
    if (!(value >= least && value <= most))
      this.fail(field, `a number from ${least} to ${most}, not ${value}`);
  }

  /** Throws INVALID_ARGUMENT where anything was wrong. */
  done(): void {
    const [first] = this.violations;
    if (first === undefined) return;
    const more = this.violations.length > 1 ? ` (and ${this.violations.length - 1} more)` : '';
    const message = `${first.field}: expected ${first.description}${more}`;
    throw new RpcError(Status.INVALID_ARGUMENT, message, this.violations);
  }
}
