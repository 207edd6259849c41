/** `google.protobuf.Duration` as milliseconds. */

/** What a generated `Duration` holds. Both parts have the same sign. */
export interface DurationParts {
  readonly seconds: bigint;
  readonly nanos: number;
}

// duration.proto: "Must be from -315,576,000,000 to +315,576,000,000 inclusive" seconds.
const MAX_MS = 315_576_000_000_000;

/** Exact to a nanosecond for up to about 100 days. NaN is 0; what is out of the type's range is its end. */
export function durationOf(ms: number): { seconds: bigint; nanos: number } {
  const within = Number.isNaN(ms) ? 0 : Math.max(-MAX_MS, Math.min(MAX_MS, ms));
  const seconds = Math.trunc(within / 1_000);
  const nanos = Math.round((within - seconds * 1_000) * 1_000_000);
  // Rounding can reach a whole second, which `nanos` must not hold.
  const carry = Math.trunc(nanos / 1_000_000_000);
  return { seconds: BigInt(seconds + carry), nanos: nanos - carry * 1_000_000_000 };
}

/** Milliseconds, fractions kept; `missing` where there is none. */
export function millisOf(duration: DurationParts | undefined, missing = 0): number {
  return duration === undefined ? missing : Number(duration.seconds) * 1_000 + duration.nanos / 1_000_000;
}
