/**
 * The servers of one service as its watchers see them: a list of changes by version, from which any
 * watcher goes on at its own cursor. What many watchers need at one moment is encoded once.
 */
import type { ServerView } from '../core/core.ts';
import { CONTROL } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { ByteWriter } from './byte-writer.ts';
import { asPicked, serves } from './views.ts';
import {
  type Balancers,
  isDue,
  reportedSince,
  type Watched,
  writeHead,
  writeLoad,
  writeRemoval,
  writeUpsert,
} from './watch-encode.ts';

/** How far a watcher is. Each message moves it on. */
export interface Position {
  /** Version of the last change that was sent. */
  cursor: number;
  /** The next message begins a snapshot. */
  fresh: boolean;
  /** Removals up to this version were before the snapshot. */
  snapshotVersion: number;
  /** Where in the list the loads of this round go on; −1: none are due. */
  loadAt: number;
  /** Loads reported at or behind this time are due, ms. */
  since: number;
  /** The number of balancers that was told last. */
  balancers: number;
  /** The version of the instances' addresses that was told last. */
  instances: number;
}

/** One message, and where the watcher is once it has it. `bytes` is undefined where there is nothing to say. */
export interface Chunk {
  readonly bytes: Buffer | undefined;
  readonly cursor: number;
  readonly loadAt: number;
}

interface Change {
  readonly version: number;
  readonly id: string;
  /** Of a removal: the version at which the server came. Who was behind that need not hear of its end. */
  readonly born: number | undefined;
}

/** Compaction is worth its cost once this many changes are out of date. */
const SLACK = 64;

export class WatchedService {
  readonly name: string;
  readonly servers = new Map<string, Watched>();
  version = 0;
  /** Changes up to here may be missing from the list: who is behind needs a snapshot. */
  floor = 0;
  private changes: Change[] = [];
  private order: Watched[] | undefined;
  private readonly mesh: Mesh;
  private readonly instanceId: Uint8Array;
  private readonly shared = new Map<string, Chunk>();
  private readonly out = new ByteWriter(CONTROL.watchChunkBytes * 2);

  constructor(name: string, mesh: Mesh, instanceId: Uint8Array) {
    this.name = name;
    this.mesh = mesh;
    this.instanceId = instanceId;
    for (const view of mesh.registry.list()) if (serves(view, name)) this.put(view);
  }

  /** A server's record changed. False: not a server of this service, before or after. */
  change(id: string, after: ServerView | undefined): boolean {
    if (after !== undefined && serves(after, this.name)) {
      this.put(after);
      return true;
    }
    const server = this.servers.get(id);
    if (server === undefined) return false;
    this.servers.delete(id);
    this.note(id, server.born);
    return true;
  }

  /** What was encoded is of another moment now. */
  turn(): void {
    this.shared.clear();
  }

  /** The next message for a watcher of all servers. */
  chunk(at: Position, balancers: Balancers, now: number): Chunk {
    const within = at.fresh || at.cursor < at.snapshotVersion ? at.snapshotVersion : -1;
    const key = `${at.cursor} ${at.fresh} ${within} ${at.loadAt} ${at.since} ${at.balancers} ${at.instances} ${balancers.count} ${balancers.version}`;
    let chunk = this.shared.get(key);
    if (chunk === undefined) {
      chunk = this.encode(at, balancers, now);
      this.shared.set(key, chunk);
    }
    return chunk;
  }

  /** Changes behind a version that are still true, in order; the ids of servers that went. */
  *changesBehind(version: number): Iterable<Watched | string> {
    for (let i = this.indexBehind(version); i < this.changes.length; i++) {
      const { id, version, born } = this.changes[i] as Change;
      const server = this.servers.get(id);
      if (server === undefined) {
        if (born !== undefined) yield id;
      } else if (server.version === version) yield server;
    }
  }

  private encode(at: Position, balancers: Balancers, now: number): Chunk {
    const { out } = this;
    out.reset();
    writeHead(out, this.instanceId, balancers, at);
    const empty = isDue(at, balancers) ? -1 : out.length;
    let { cursor } = at;
    for (let i = this.indexBehind(cursor); i < this.changes.length; i++) {
      if (out.length >= CONTROL.watchChunkBytes) return { bytes: out.copy(), cursor, loadAt: at.loadAt };
      const change = this.changes[i] as Change;
      cursor = change.version;
      const server = this.servers.get(change.id);
      if (server?.version === cursor) writeUpsert(out, server);
      else if (server === undefined && isNews(change, at)) writeRemoval(out, change.id);
    }
    cursor = this.version;
    let { loadAt } = at;
    if (loadAt >= 0) {
      this.order ??= [...this.servers.values()];
      loadAt = writeLoads(out, this.mesh, this.order, loadAt, at.since, now);
    }
    return { bytes: out.length === empty ? undefined : out.copy(), cursor, loadAt };
  }

  /** Panic begins or ends: who is ejected may be seen otherwise. True where something is. */
  panicChanged(): boolean {
    const before = this.version;
    for (const { id, view } of [...this.servers.values()]) {
      const now = this.mesh.registry.get(id);
      if (now !== undefined && asPicked(this.mesh, now, this.name).state !== view.state) this.put(now);
    }
    return this.version !== before;
  }

  private put(known: ServerView): void {
    const view = asPicked(this.mesh, known, this.name);
    const { id } = view.spec;
    const slot = this.mesh.slotOf(id);
    const server = this.servers.get(id);
    this.note(id);
    const { version } = this;
    if (server === undefined) {
      const idBytes = Buffer.from(id);
      this.servers.set(id, { id, idBytes, born: version, view, slot, version, record: undefined });
    } else {
      Object.assign(server, { view, slot, version, record: undefined });
    }
  }

  private note(id: string, born?: number): void {
    this.version++;
    this.changes.push({ version: this.version, id, born });
    this.order = undefined;
    this.shared.clear();
    if (this.changes.length > 2 * this.servers.size + CONTROL.tombstones + SLACK) this.compact();
  }

  /** Drops changes that later ones have made void, and all but the youngest removals. */
  private compact(): void {
    let removals = 0;
    const kept: Change[] = [];
    const seen = new Set<string>();
    for (let i = this.changes.length - 1; i >= 0; i--) {
      const change = this.changes[i] as Change;
      if (seen.has(change.id)) continue;
      seen.add(change.id);
      if (this.servers.has(change.id)) kept.push(change);
      else if (removals++ < CONTROL.tombstones / 2) kept.push(change);
      else this.floor = Math.max(this.floor, change.version);
    }
    this.changes = kept.reverse();
  }

  private indexBehind(version: number): number {
    let low = 0;
    let high = this.changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.changes[middle] as Change).version <= version) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** True where a watcher can know the server whose removal this is. */
function isNews({ born, version }: Change, at: Position): boolean {
  return (
    born !== undefined && version > at.snapshotVersion && born <= Math.max(at.cursor, at.snapshotVersion)
  );
}

/** Writes loads from an index on, up to a chunk. Returns where to go on; −1: all were written. */
export function writeLoads(
  out: ByteWriter,
  mesh: Mesh,
  servers: readonly Watched[],
  from: number,
  since: number,
  now: number,
): number {
  for (let i = from; i < servers.length; i++) {
    if (out.length >= CONTROL.watchChunkBytes) return i;
    const server = servers[i] as Watched;
    if (reportedSince(mesh, server, since)) writeLoad(out, mesh, server, now);
  }
  return -1;
}
