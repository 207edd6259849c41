/**
 * A snapshot of the fold as messages: a head, then parts of bounded size, then an end. They are read in
 * this order and all of them, or not at all: the end has what must have been read.
 *
 *   part   = type:byte (0x04) kind:byte content
 *     1 head  = position:varint skipped:varint notUnderstood:varint
 *               records:varint words:varint answers:varint instances:varint   how many of each will follow
 *     2 items = list(tag:byte item:block)
 *     3 end   = digest:string                                     of the facts
 *   item by tag:
 *     1 record = id:string version:varint claims:list(source origin:string spec) own removed
 *                operatorDrain:drain drain weight:number inService:byte lost:byte since:stamp seen
 *       own          = present:byte [spec]          only where there is no claim to take the spec from
 *       removed      = present:byte [stamp]
 *       drain        = present:byte [by:drainer timeoutMs:number afterwards empty:byte]
 *       stamp        = time:double cause:string
 *       seen         = list(origin:string observed since:stamp)     observed as in codec.ts
 *     2 word   = id:string                          of a record with an operator's words alone, oldest first
 *     3 answer = failure:string id:string           oldest first
 *     4 instance = id:string epoch:varint control:string proxy:string present:byte since:stamp
 *
 * A tag with the bit 0x80 may be skipped by who does not know it; any other unknown tag, or an unknown
 * value in a record, is one that this version cannot start from.
 */
import type { DrainView } from '../core/core.ts';
import type { InstanceFact } from '../core/instances.ts';
import type { Seen, ServerRecord, Stamp } from '../core/record.ts';
import { type Snapshot, snapshotDigest } from '../core/snapshot.ts';
import { CodecError, Reader, Writer } from './bytes.ts';
import { MAY_SKIP, Message } from './codec.ts';
import {
  readAfterwards,
  readDrainer,
  readList,
  readObservation,
  readSource,
  readSpec,
  writeAfterwards,
  writeDrainer,
  writeObservation,
  writeSource,
  writeSpec,
} from './spec-codec.ts';

const HEAD = 1;
const ITEMS = 2;
const END = 3;

const RECORD = 1;
const WORD = 2;
const ANSWER = 3;
const INSTANCE = 4;

/** What a part takes at most, but for one item that is longer by itself, octets: fits any message. */
const PART_OCTETS = 256 * 1024;

/** Each message is a buffer of its own. Made as they are asked for, so that whoever writes can pause between. */
export function* encodeSnapshot(snapshot: Snapshot, partOctets = PART_OCTETS): Generator<Buffer> {
  const out = new Writer(1024);
  const { records, words, answers, instances } = snapshot;
  out.byte(Message.SNAPSHOT);
  out.byte(HEAD);
  for (const count of [snapshot.position, snapshot.skipped, snapshot.notUnderstood]) out.varint(count);
  for (const list of [records, words, answers, instances]) out.varint(list.length);
  yield out.copy();

  const items = new Writer(partOctets);
  const item = new Writer();
  let count = 0;
  const part = (): Buffer => {
    out.reset();
    out.byte(Message.SNAPSHOT);
    out.byte(ITEMS);
    out.varint(count);
    out.raw(items.view());
    items.reset();
    count = 0;
    return out.copy();
  };
  for (const write of writersOf(snapshot)) {
    item.reset();
    const tag = write(item);
    if (count > 0 && items.length + item.length > partOctets) yield part();
    items.byte(tag);
    items.block(item.view());
    count++;
  }
  if (count > 0) yield part();

  out.reset();
  out.byte(Message.SNAPSHOT);
  out.byte(END);
  out.string(snapshotDigest(snapshot));
  yield out.copy();
}

function* writersOf({ records, words, answers, instances }: Snapshot): Generator<(item: Writer) => number> {
  for (const record of records) {
    yield item => {
      writeRecord(item, record);
      return RECORD;
    };
  }
  for (const id of words) {
    yield item => {
      item.string(id);
      return WORD;
    };
  }
  for (const [failure, id] of answers) {
    yield item => {
      item.string(failure);
      item.string(id);
      return ANSWER;
    };
  }
  for (const fact of instances) {
    yield item => {
      writeInstance(item, fact);
      return INSTANCE;
    };
  }
}

/** Puts a snapshot together from its messages. */
export class SnapshotReader {
  #head: { position: number; skipped: number; notUnderstood: number } | undefined;
  #expected: readonly number[] = [];
  readonly #records: ServerRecord[] = [];
  readonly #words: string[] = [];
  readonly #answers: (readonly [string, string])[] = [];
  readonly #instances: InstanceFact[] = [];

  /** The snapshot, with its last message. @throws CodecError for what is none, or not the next part of it. */
  take(message: Uint8Array): Snapshot | undefined {
    const from = new Reader(message);
    const type = from.byte();
    if (type !== Message.SNAPSHOT) throw new CodecError(`a message of type ${type} in a snapshot`);
    const kind = from.byte();
    if (kind === HEAD) {
      if (this.#head !== undefined) throw new CodecError('a second head in a snapshot');
      this.#head = { position: from.varint(), skipped: from.varint(), notUnderstood: from.varint() };
      this.#expected = [from.varint(), from.varint(), from.varint(), from.varint()];
      return undefined;
    }
    if (this.#head === undefined) throw new CodecError('a snapshot without a head');
    if (kind === ITEMS) {
      for (let left = from.count(2); left > 0; left--) this.#item(from);
      return undefined;
    }
    if (kind !== END) throw new CodecError(`a part of kind ${kind} in a snapshot`);
    return this.#finish(this.#head, from.string());
  }

  #item(from: Reader): void {
    const tag = from.byte();
    const outer = from.enter();
    if (tag === RECORD) this.#records.push(readRecord(from));
    else if (tag === WORD) this.#words.push(from.string());
    else if (tag === ANSWER) this.#answers.push([from.string(), from.string()]);
    else if (tag === INSTANCE) this.#instances.push(readInstance(from));
    else if (!(tag & MAY_SKIP)) throw new CodecError(`an item with tag ${tag}: a newer version wrote it`);
    from.leave(outer);
  }

  #finish(head: { position: number; skipped: number; notUnderstood: number }, digest: string): Snapshot {
    const found = [this.#records, this.#words, this.#answers, this.#instances].map(all => all.length);
    if (found.some((count, i) => count !== this.#expected[i])) {
      throw new CodecError(
        `a snapshot of ${this.#expected} records, words, answers and instances has ${found}`,
      );
    }
    const snapshot = {
      ...head,
      records: this.#records,
      words: this.#words,
      answers: this.#answers,
      instances: this.#instances,
    };
    const computed = snapshotDigest(snapshot);
    if (computed !== digest)
      throw new CodecError(`a snapshot of digest ${digest} has the facts of ${computed}`);
    return snapshot;
  }
}

function writeRecord(out: Writer, record: ServerRecord): void {
  out.string(record.id);
  out.varint(record.version);
  out.varint(record.claims.length);
  for (const { source, origin, spec } of record.claims) {
    writeSource(out, source);
    out.string(origin);
    writeSpec(out, spec);
  }
  const own = record.claims.length === 0 ? record.spec : undefined;
  if (isPresent(out, own)) writeSpec(out, own);
  if (isPresent(out, record.removed)) writeStamp(out, record.removed);
  writeDrain(out, record.operatorDrain);
  writeDrain(out, record.drain);
  out.number(record.weight);
  out.bool(record.inService);
  out.bool(record.lost);
  writeStamp(out, record.since);
  out.varint(record.seen.length);
  for (const seen of record.seen) {
    out.string(seen.origin);
    writeObservation(out, seen);
    writeStamp(out, seen.since);
  }
}

function readRecord(from: Reader): ServerRecord {
  const id = from.string();
  const version = from.varint();
  const claims = readList(from, 10, reader => ({
    source: readSource(reader),
    origin: reader.string(),
    spec: readSpec(reader),
  }));
  const own = from.bool() ? readSpec(from) : undefined;
  return {
    id,
    version,
    claims,
    // The same object: the fold tells by identity whether what is in force has changed.
    spec: claims[0]?.spec ?? own,
    removed: from.bool() ? readStamp(from) : undefined,
    operatorDrain: readDrain(from),
    drain: readDrain(from),
    weight: from.number(),
    inService: from.bool(),
    lost: from.bool(),
    since: readStamp(from),
    seen: readList(from, 12, readSeen),
  };
}

function writeInstance(out: Writer, fact: InstanceFact): void {
  out.string(fact.id);
  out.varint(fact.epoch);
  out.string(fact.control);
  out.string(fact.proxy);
  out.bool(fact.present);
  writeStamp(out, fact.since);
}

function readInstance(from: Reader): InstanceFact {
  return {
    id: from.string(),
    epoch: from.varint(),
    control: from.string(),
    proxy: from.string(),
    present: from.bool(),
    since: readStamp(from),
  };
}

function isPresent<T>(out: Writer, value: T | undefined): value is T {
  out.bool(value !== undefined);
  return value !== undefined;
}

function writeStamp(out: Writer, { time, cause }: Stamp): void {
  out.double(time);
  out.string(cause);
}

function readStamp(from: Reader): Stamp {
  return { time: from.double(), cause: from.string() };
}

function readSeen(from: Reader): Seen {
  return { origin: from.string(), ...readObservation(from), since: readStamp(from) };
}

function writeDrain(out: Writer, drain: DrainView | undefined): void {
  if (!isPresent(out, drain)) return;
  writeDrainer(out, drain.by);
  out.number(drain.timeoutMs);
  writeAfterwards(out, drain.afterwards);
  out.bool(drain.empty);
}

function readDrain(from: Reader): DrainView | undefined {
  if (!from.bool()) return undefined;
  return {
    by: readDrainer(from),
    timeoutMs: from.number(),
    afterwards: readAfterwards(from),
    empty: from.bool(),
  };
}
