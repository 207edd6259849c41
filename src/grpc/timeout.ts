/**
 * The `grpc-timeout` field.
 *
 *     Timeout      → "grpc-timeout" TimeoutValue TimeoutUnit
 *     TimeoutValue → {positive integer as ASCII string of at most 8 digits}
 *     TimeoutUnit  → H / M / S / m / u / n
 *
 * (grpc `doc/PROTOCOL-HTTP2.md`, "Requests".)
 */

const MAX_DIGITS = 8;
const MAX_VALUE = 99_999_999;

/** Milliseconds of one unit, by the unit's character code; 0 is no unit. */
const UNIT_MS = new Float64Array(128);
UNIT_MS[0x48] = 3_600_000; // H
UNIT_MS[0x4d] = 60_000; // M
UNIT_MS[0x53] = 1_000; // S
UNIT_MS[0x6d] = 1; // m
UNIT_MS[0x75] = 1e-3; // u
UNIT_MS[0x6e] = 1e-6; // n

/**
 * Reads a `grpc-timeout` value out of the bytes of a header.
 *
 * @returns milliseconds, with fractions; NaN where it is malformed. Zero is taken: a deadline that has passed.
 */
export function parseTimeout(buffer: Uint8Array, start: number, end: number): number {
  const digits = end - start - 1;
  if (digits < 1 || digits > MAX_DIGITS) return Number.NaN;
  let value = 0;
  for (let i = start; i < end - 1; i++) {
    const digit = (buffer[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  const unitMs = UNIT_MS[buffer[end - 1] as number] ?? 0;
  return unitMs === 0 ? Number.NaN : value * unitMs;
}

/**
 * Writes a `grpc-timeout` value in the finest unit that eight digits hold.
 *
 * What is not a whole number of that unit is rounded down, so that a hop never adds time; down to `0n` where
 * nothing is left. Beyond 99,999,999 hours it is that many.
 */
export function formatTimeout(ms: number): string {
  if (!(ms > 0)) return '0n';
  // Milliseconds first, as almost every deadline is a whole number of them or wants no finer one: from 100 ms
  // on, a fraction of a millisecond is below what timers of either end can tell apart.
  if (ms >= 100 && ms < MAX_VALUE + 1) return `${Math.floor(ms)}m`;
  const nanos = Math.floor(ms * 1e6);
  if (nanos <= MAX_VALUE) return `${nanos}n`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds <= MAX_VALUE) return `${seconds}S`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes <= MAX_VALUE) return `${minutes}M`;
  return `${Math.min(Math.floor(ms / 3_600_000), MAX_VALUE)}H`;
}

/**
 * What of a deadline is left for the next hop.
 *
 * @param timeoutMs what the caller gave, ms
 * @param receivedAt monotonic clock when the call arrived, ms
 * @param now the same clock, ms
 * @returns ms, 0 where it has passed
 */
export function remainingMs(timeoutMs: number, receivedAt: number, now: number): number {
  return Math.max(0, timeoutMs - (now - receivedAt));
}
