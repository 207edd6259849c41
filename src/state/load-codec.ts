/**
 * A note of all backends' load as a message.
 *
 *   loads = type:byte origin:string epoch:varint time:double rows:list(row)
 *   row   = shared:byte rest:string known:byte ageMs:varint intervalMs:varint
 *           [inFlight:float] [utilization:float] [capacity:float] [others:float] [failure:float]
 *
 * An id is the first `shared` UTF-16 units of the one before, and
 * `rest`. The bits of `known` say, from the lowest, which of the five numbers follow; without it a number
 * of calls is unknown (NaN) and any other is 0. About 30 octets a backend: 10,000 are 300 KiB.
 */
import type { LoadNote, NotedLoad } from '../core/load-note.ts';
import { CodecError, Reader, Writer } from './bytes.ts';
import { Message } from './codec.ts';
import { readList } from './spec-codec.ts';

const IN_FLIGHT = 1;
const UTILIZATION = 2;
const CAPACITY = 4;
const OTHERS = 8;
const FAILURE = 16;
/** What a row takes at least: shared, rest, known, age, interval. */
const ROW_OCTETS = 5;
const LONGEST_SHARED = 255;

export function encodeLoads(note: LoadNote): Buffer {
  const out = new Writer(64 + note.rows.length * 40);
  out.byte(Message.LOADS);
  out.string(note.origin);
  out.varint(note.epoch);
  out.double(note.time);
  out.varint(note.rows.length);
  let before = '';
  for (const row of note.rows) {
    writeRow(out, row, before);
    before = row.id;
  }
  return out.copy();
}

/** @throws CodecError for what is no note of loads. */
export function decodeLoads(message: Uint8Array): LoadNote {
  const from = new Reader(message);
  const type = from.byte();
  if (type !== Message.LOADS) throw new CodecError(`a message of type ${type} where loads belong`);
  const head = { origin: from.string(), epoch: from.varint(), time: from.double() };
  let before = '';
  const rows = readList(from, ROW_OCTETS, reader => {
    const row = readRow(reader, before);
    before = row.id;
    return row;
  });
  return { ...head, rows };
}

function writeRow(out: Writer, row: NotedLoad, before: string): void {
  const shared = sharedUnits(before, row.id);
  out.byte(shared);
  out.string(row.id.slice(shared));
  const known =
    (row.inFlight >= 0 ? IN_FLIGHT : 0) |
    (row.utilization > 0 ? UTILIZATION : 0) |
    (row.capacity > 0 ? CAPACITY : 0) |
    (row.others >= 0 ? OTHERS : 0) |
    (row.failure > 0 ? FAILURE : 0);
  out.byte(known);
  out.varint(wholeMs(row.ageMs));
  out.varint(wholeMs(row.intervalMs));
  if (known & IN_FLIGHT) out.float(row.inFlight);
  if (known & UTILIZATION) out.float(row.utilization);
  if (known & CAPACITY) out.float(row.capacity);
  if (known & OTHERS) out.float(row.others);
  if (known & FAILURE) out.float(row.failure);
}

function readRow(from: Reader, before: string): NotedLoad {
  const shared = from.byte();
  if (shared > before.length) throw new CodecError(`an id that shares ${shared} units with '${before}'`);
  const id = before.slice(0, shared) + from.string();
  const known = from.byte();
  return {
    id,
    ageMs: from.varint(),
    intervalMs: from.varint(),
    inFlight: known & IN_FLIGHT ? from.float() : Number.NaN,
    utilization: known & UTILIZATION ? from.float() : 0,
    capacity: known & CAPACITY ? from.float() : 0,
    others: known & OTHERS ? from.float() : Number.NaN,
    failure: known & FAILURE ? from.float() : 0,
  };
}

function sharedUnits(before: string, id: string): number {
  const most = Math.min(before.length, id.length, LONGEST_SHARED);
  let shared = 0;
  while (shared < most && before.charCodeAt(shared) === id.charCodeAt(shared)) shared++;
  // Not between the halves of a character: each half alone has no UTF-8.
  const last = id.charCodeAt(shared - 1);
  return last >= 0xd800 && last <= 0xdbff ? shared - 1 : shared;
}

function wholeMs(ms: number): number {
  return ms > 0 ? Math.min(Math.round(ms), Number.MAX_SAFE_INTEGER) : 0;
}
