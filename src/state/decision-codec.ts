/**
 * A noted pick as a message: sampled, for people, and never read at a start.
 *
 *   decision = type:byte text:string      JSON of a `Decision` (core/decision.ts)
 */
import type { Decision } from '../core/decision.ts';
import { CodecError, Reader, Writer } from './bytes.ts';
import { Message } from './codec.ts';

export function encodeDecision(decision: Decision): Buffer {
  const out = new Writer();
  out.byte(Message.DECISION);
  out.string(JSON.stringify(decision));
  return out.copy();
}

/** @throws CodecError for what is none. */
export function decodeDecision(message: Uint8Array): Decision {
  const from = new Reader(message);
  if (from.byte() !== Message.DECISION) throw new CodecError('no noted pick');
  const text = from.string();
  try {
    return JSON.parse(text) as Decision;
  } catch {
    throw new CodecError('a noted pick that is no JSON');
  }
}
