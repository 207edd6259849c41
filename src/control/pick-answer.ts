/**
 * The answer of PickServer as bytes. What a server's record says is encoded once and kept by slot;
 * a call adds the figures of the moment and the lease.
 *
 *   PickServerResponse = 0a len Server  12 28 lease_id(40)  1a len lease_ttl  22 len instance_id
 *   Server             = record  41 score(8)  49 utilization(8)  50 in_flight  5a len last_report_time
 */
import type { ServerView } from '../core/core.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Pool } from '../core/pool.ts';
import { PickServerResponse } from '../gen/heapmesh/v1/lookaside.ts';
import { Server } from '../gen/heapmesh/v1/server.ts';
import { durationOf } from '../grpc/duration.ts';
import type { Clock } from './clock.ts';
import { LEASE_ID_LENGTH, type LeaseIds } from './lease-id.ts';
import { identityOf, inFlightOf, reportTimeOf } from './views.ts';

const TAG_SERVER = 0x0a;
const TAG_LEASE_ID = 0x12;
const TAG_SCORE = 0x41;
const TAG_UTILIZATION = 0x49;
const TAG_IN_FLIGHT = 0x50;
const TAG_LAST_REPORT = 0x5a;
const TAG_SECONDS = 0x08;
const TAG_NANOS = 0x10;
/** Score, utilization, in-flight and time with their tags, each at its longest. */
const MOST_FIGURES = 9 + 9 + 6 + 2 + 7 + 6;

export class PickAnswers {
  private readonly mesh: Mesh;
  private readonly leaseIds: LeaseIds;
  private readonly clock: Clock;
  /** lease_ttl and instance_id, the same in every answer. */
  private readonly tail: Uint8Array;
  /** By slot; undefined where the record has changed since. */
  private readonly records: (Uint8Array | undefined)[] = [];
  private readonly scratch = Buffer.alloc(MOST_FIGURES);

  constructor(mesh: Mesh, leaseIds: LeaseIds, instanceId: string, leaseTtlMs: number, clock: Clock) {
    this.mesh = mesh;
    this.leaseIds = leaseIds;
    this.clock = clock;
    const leaseTtl = durationOf(leaseTtlMs);
    this.tail = PickServerResponse.encode({ server: undefined, leaseId: '', leaseTtl, instanceId }).finish();
  }

  /** The registry's record of a server changed; a slot that is given to another one is told of it too. */
  changed(id: string, after: ServerView | undefined): void {
    const slot = after === undefined ? -1 : this.mesh.slotOf(id);
    if (slot >= 0) this.records[slot] = undefined;
  }

  /** Encodes the answer for an open lease of this pool, with a new id for it. */
  encode(lease: number, slot: number, pool: Pool, now: number): Buffer {
    const record = this.records[slot] ?? this.remember(slot);
    const { tail, scratch } = this;
    const figures = this.figures(slot, pool, now);
    const length = record.length + figures;
    const size = 1 + varintSize(length) + length + 2 + LEASE_ID_LENGTH + tail.length;
    const bytes = Buffer.allocUnsafe(size);
    bytes[0] = TAG_SERVER;
    let at = writeVarint(bytes, 1, length);
    bytes.set(record, at);
    at += record.length;
    for (let i = 0; i < figures; i++) bytes[at++] = scratch[i] as number;
    bytes[at++] = TAG_LEASE_ID;
    bytes[at++] = LEASE_ID_LENGTH;
    this.leaseIds.issue(lease, bytes, at);
    bytes.set(tail, at + LEASE_ID_LENGTH);
    return bytes;
  }

  private remember(slot: number): Uint8Array {
    const view = this.mesh.registry.get(this.mesh.idOf(slot));
    const record = view === undefined ? new Uint8Array(0) : Server.encode(identityOf(view)).finish();
    this.records[slot] = record;
    return record;
  }

  /** Writes what changes by the moment into `scratch`; returns its length. */
  private figures(slot: number, pool: Pool, now: number): number {
    const { mesh, scratch } = this;
    scratch[0] = TAG_SCORE;
    let at = scratch.writeDoubleLE(pool.scoreOf(slot), 1);
    const utilization = mesh.loads.utilization[slot] as number;
    if (utilization > 0) {
      scratch[at] = TAG_UTILIZATION;
      at = scratch.writeDoubleLE(utilization, at + 1);
    }
    scratch[at] = TAG_IN_FLIGHT;
    at = writeVarint(scratch, at + 1, inFlightOf(mesh, slot, mesh.loads.own(slot)) >>> 0);
    if (now - (mesh.loads.reportTime[slot] as number) < Number.POSITIVE_INFINITY) {
      at = writeTime(scratch, at, reportTimeOf(mesh, slot, this.clock) as number);
    }
    return at;
  }
}

function writeTime(bytes: Buffer, from: number, wallMs: number): number {
  const seconds = Math.floor(wallMs / 1000);
  let at = from + 2;
  bytes[at++] = TAG_SECONDS;
  at = writeVarint(bytes, at, seconds);
  bytes[at++] = TAG_NANOS;
  at = writeVarint(bytes, at, Math.floor((wallMs - seconds * 1000) * 1e6));
  bytes[from] = TAG_LAST_REPORT;
  bytes[from + 1] = at - from - 2;
  return at;
}

/** Non-negative whole numbers below 2⁵³. */
function writeVarint(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  let rest = value;
  while (rest >= 0x80) {
    bytes[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[at++] = rest;
  return at;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
