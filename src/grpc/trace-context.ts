/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/), as it travels in a call's metadata.
 *
 *     traceparent = version "-" trace-id "-" parent-id "-" trace-flags      lower-case hexadecimal: 2, 32, 16, 2
 *
 * A version above 00 may have more behind another "-"; version ff is none.
 */

/** What goes with a call. Empty strings: there is none. */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate: string;
}

/** `traceparent`, taken apart. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
}

export const TRACEPARENT_LENGTH = 55;

const PATTERN =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[\x20-\x7e]*)?$/;

/** Undefined where it is not valid, and so to be taken as if it were not there. */
export function parseTraceparent(text: string): TraceParent | undefined {
  const match = PATTERN.exec(text);
  if (match === null || (text.length > TRACEPARENT_LENGTH && text.startsWith('00'))) return undefined;
  const [, traceId = '', spanId = '', flags = ''] = match;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

/** `flags` has one digit: of the flags only `sampled` and `random` have a meaning yet. */
export function formatTraceparent(traceId: string, spanId: string, flags: number): string {
  return `00-${traceId}-${spanId}-0${flags & 3}`;
}

/**
 * Whether the flags at the end of a traceparent say `sampled`, looking at nothing else: a call that is not sampled
 * pays no more. −1: too short to be one.
 */
export function sampledFlag(buffer: Uint8Array, start: number, end: number): 0 | 1 | -1 {
  if (end - start < TRACEPARENT_LENGTH) return -1;
  const digit = buffer[start + TRACEPARENT_LENGTH - 1] as number;
  // '1', '3' ... and 'b', 'd', 'f' are odd numbers as characters where the digit is odd; 'a' is 0x61.
  return digit >= 0x61 ? (((digit - 0x61) & 1) as 0 | 1) : ((digit & 1) as 0 | 1);
}
