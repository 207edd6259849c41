/**
 * A noted pick as a message: sampled, for people, and never read at a start.
 *
 *   decision = type:byte text:string trace:16*     trace is there where the call had one
 *              text: JSON of a `Decision` (core/decision.ts) but for its trace
 *
 * Who does not know of the trace reads as far as the text goes.
 */
import type { Decision } from '../core/decision.ts';
import { CodecError, Reader, Writer } from './bytes.ts';
import { Message } from './codec.ts';

const TRACE_OCTETS = 16;

export function encodeDecision({ traceId, ...decision }: Decision): Buffer {
  const out = new Writer(1024);
  out.byte(Message.DECISION);
  out.string(JSON.stringify(decision));
  if (traceId !== '') out.raw(Buffer.from(traceId, 'hex'));
  return out.copy();
}

/** @throws CodecError for what is none. */
export function decodeDecision(message: Uint8Array): Decision {
  const from = new Reader(message);
  if (from.byte() !== Message.DECISION) throw new CodecError('no noted pick');
  const text = from.string();
  const trace = from.left >= TRACE_OCTETS ? from.copyFrom(from.offset).subarray(0, TRACE_OCTETS) : [];
  const traceId = Buffer.from(trace).toString('hex');
  try {
    return { ...(JSON.parse(text) as Omit<Decision, 'traceId'>), traceId };
  } catch {
    throw new CodecError('a noted pick that is no JSON');
  }
}
