/**
 * A snapshot as one record of its topic, so that it is there whole or not at all.
 *
 *   record   = version:byte (1) packing:byte (1: zstd) rest
 *   unpacked = position:varint                                of the last record of the log that is in it
 *              fences:list(origin:string epoch:varint n:varint)   the one that spoke last at the end
 *              loads:list(block)                              the last notes of load, one an instance
 *              parts:list(block)                              messages of the snapshot, see snapshot-codec.ts
 */
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { KAFKA_LIMITS } from '../../core/limits.ts';
import type { Snapshot } from '../../core/snapshot.ts';
import { CodecError, Reader, Writer } from '../bytes.ts';
import { encodeSnapshot, SnapshotReader } from '../snapshot-codec.ts';
import { readList } from '../spec-codec.ts';
import type { Fence } from './fences.ts';

const VERSION = 1;
const ZSTD = 1;
const pack = promisify(zstdCompress);
const unpack = promisify(zstdDecompress);

export interface Envelope {
  readonly position: number;
  readonly fences: readonly Fence[];
  /** Messages of load, see load-codec.ts. */
  readonly loads: readonly Uint8Array[];
  readonly snapshot: Snapshot;
}

export async function encodeEnvelope({ position, fences, loads, snapshot }: Envelope): Promise<Buffer> {
  const out = new Writer(64 * 1024);
  out.varint(position);
  out.varint(fences.length);
  for (const { origin, epoch, n } of fences) {
    out.string(origin);
    out.varint(epoch);
    out.varint(n);
  }
  out.varint(loads.length);
  for (const load of loads) out.block(load);
  const parts: Uint8Array[] = [];
  for (const part of encodeSnapshot(snapshot)) {
    parts.push(part);
    // Of 10,000 servers they take some 50 ms together: calls and picks have their turn in between.
    await turn();
  }
  out.varint(parts.length);
  for (const part of parts) out.block(part);
  return Buffer.concat([Buffer.of(VERSION, ZSTD), await pack(out.view())]);
}

/** @throws CodecError for what is no snapshot, or one that this version cannot read. */
export async function decodeEnvelope(record: Buffer): Promise<Envelope> {
  const [version, packing] = record;
  if (version !== VERSION || packing !== ZSTD) {
    throw new CodecError(`a snapshot of version ${version}, packed by ${packing}: a newer instance wrote it`);
  }
  const limit = { maxOutputLength: KAFKA_LIMITS.snapshotUnpackedBytes };
  const from = new Reader(await unpack(record.subarray(2), limit));
  const position = from.varint();
  const fences = readList(from, 3, reader => ({
    origin: reader.string(),
    epoch: reader.varint(),
    n: reader.varint(),
  }));
  const loads = readList(from, 1, reader => Uint8Array.from(reader.block()));
  const reader = new SnapshotReader();
  let snapshot: Snapshot | undefined;
  for (let left = from.count(1); left > 0; left--) snapshot = reader.take(from.block());
  if (snapshot === undefined) throw new CodecError('a snapshot without its end');
  return { position, fences, loads, snapshot };
}
