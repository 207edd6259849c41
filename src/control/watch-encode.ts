/** The parts of `WatchServersResponse` as bytes. */
import type { ServerView } from '../core/core.ts';
import type { Mesh } from '../core/mesh.ts';
import { Server } from '../gen/heapmesh/v1/server.ts';
import type { ByteWriter } from './byte-writer.ts';
import { identityOf } from './views.ts';

const UPSERTED = 0x0a;
const REMOVED_ID = 0x12;
const SNAPSHOT = 0x18;
const LOAD = 0x22;
const BALANCERS = 0x28;
const INSTANCE_ID = 0x32;
const CONTROL_ADDRESS = 0x3a;

/** What is said of the balancers themselves. */
export interface Balancers {
  readonly count: number;
  /** Control addresses of the instances, and a number that changes with them. */
  readonly addresses: readonly Uint8Array[];
  readonly version: number;
}

/** A server as watchers of one service see it. */
export interface Watched {
  readonly id: string;
  readonly idBytes: Uint8Array;
  /** Of the service's list, when it came. */
  readonly born: number;
  view: ServerView;
  slot: number;
  /** Of the service's list, at its last change. */
  version: number;
  /** The encoded `Server`; made when first sent. */
  record: Uint8Array | undefined;
}

export function writeHead(
  out: ByteWriter,
  instanceId: Uint8Array,
  balancers: Balancers,
  at: { readonly fresh: boolean; readonly instances: number },
): void {
  if (at.fresh) out.varint(SNAPSHOT, 1);
  out.varint(BALANCERS, balancers.count);
  out.delimited(INSTANCE_ID, instanceId);
  if (!at.fresh && at.instances === balancers.version) return;
  for (const address of balancers.addresses) out.delimited(CONTROL_ADDRESS, address);
}

/** Whether a message must go out although no server has changed. */
export function isDue(at: Told, balancers: Balancers): boolean {
  return at.fresh || at.balancers !== balancers.count || at.instances !== balancers.version;
}

interface Told {
  readonly fresh: boolean;
  readonly balancers: number;
  readonly instances: number;
}

export function writeUpsert(out: ByteWriter, server: Watched): void {
  server.record ??= Server.encode(identityOf(server.view)).finish();
  out.delimited(UPSERTED, server.record);
}

export function writeRemoval(out: ByteWriter, id: string): void {
  out.delimited(REMOVED_ID, Buffer.from(id));
}

/** True where a report came at or behind `since`, on the core's clock. */
export function reportedSince(mesh: Mesh, server: Watched, since: number): boolean {
  const time = mesh.loads.reportTime[server.slot] as number;
  return time >= since && time > Number.NEGATIVE_INFINITY;
}

/** The `ServerLoad` of a server that has reported. `in_flight` is NaN where the report did not tell it. */
export function writeLoad(out: ByteWriter, mesh: Mesh, server: Watched, now: number): void {
  const { loads } = mesh;
  const { slot } = server;
  const start = out.begin(LOAD);
  out.delimited(0x0a, server.idBytes);
  out.varint(0x10, loads.reportsOf(slot));
  out.duration(0x1a, Math.max(0, now - (loads.reportTime[slot] as number)));
  double(out, 0x21, loads.reported[slot] as number);
  double(out, 0x29, loads.utilization[slot] as number);
  double(out, 0x31, loads.capacity[slot] as number);
  double(out, 0x39, Math.max(0, loads.othersMean[slot] as number));
  double(out, 0x41, loads.failureNow(slot, now));
  out.duration(0x4a, loads.intervalMs[slot] as number);
  out.end(start);
}

/** proto3 leaves zeros out. */
function double(out: ByteWriter, tag: number, value: number): void {
  if (value !== 0) out.double(tag, value);
}
