/**
 * A part of a service's servers for one client: the `most` that rank highest, in the client's zone
 * first, and among those that take calls before the others. Ranks come from hashing client and server
 * together (rendezvous), so that a server that comes or goes moves one place and no other.
 */
import { CONTROL } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { hashString, rendezvousRank } from '../core/rendezvous.ts';
import { ByteWriter } from './byte-writer.ts';
import { type Balancers, isDue, type Watched, writeHead, writeRemoval, writeUpsert } from './watch-encode.ts';
import { type Chunk, type Position, type WatchedService, writeLoads } from './watched-service.ts';

/** What a higher class is worth: above every rank by hash, which ends at 2³³. */
const CLASS = 2 ** 40;

export class Subset {
  private readonly service: WatchedService;
  private readonly mesh: Mesh;
  private readonly instanceId: Uint8Array;
  private readonly most: number;
  private readonly zone: string;
  private readonly client: number;
  private chosen: Watched[] = [];
  private chosenIds = new Set<string>();
  private worst = Number.POSITIVE_INFINITY;
  /** The service's version that `chosen` is of; −1 before the first choice. */
  private version = -1;
  /** What the client has, with the version that it has it in. */
  private readonly sent = new Map<string, number>();

  constructor(
    service: WatchedService,
    mesh: Mesh,
    instanceId: Uint8Array,
    most: number,
    zone: string,
    clientId: string,
  ) {
    this.service = service;
    this.mesh = mesh;
    this.instanceId = instanceId;
    this.most = most;
    this.zone = zone;
    this.client = hashString(clientId);
  }

  chunk(at: Position, balancers: Balancers, now: number): Chunk {
    this.choose();
    const out = new ByteWriter(1024);
    writeHead(out, this.instanceId, balancers, at);
    const empty = isDue(at, balancers) ? -1 : out.length;
    if (at.fresh) this.sent.clear();
    const stay = { cursor: at.cursor, loadAt: at.loadAt };
    for (const id of this.sent.keys()) {
      if (this.chosenIds.has(id)) continue;
      this.sent.delete(id);
      writeRemoval(out, id);
    }
    for (const server of this.chosen) {
      if (this.sent.get(server.id) === server.version) continue;
      if (out.length >= CONTROL.watchChunkBytes) return { bytes: out.copy(), ...stay };
      this.sent.set(server.id, server.version);
      writeUpsert(out, server);
    }
    const loadAt = at.loadAt < 0 ? -1 : writeLoads(out, this.mesh, this.chosen, at.loadAt, at.since, now);
    const bytes = out.length === empty ? undefined : out.copy();
    return { bytes, cursor: this.service.version, loadAt };
  }

  /** Chooses anew where a change since the last choice can have moved it. */
  private choose(): void {
    if (this.version === this.service.version) return;
    if (this.version >= 0 && !this.isTouched()) {
      this.version = this.service.version;
      return;
    }
    this.version = this.service.version;
    const ranked = [...this.service.servers.values()].map(server => ({ server, rank: this.rank(server) }));
    ranked.sort((a, b) => b.rank - a.rank);
    ranked.length = Math.min(ranked.length, this.most);
    this.chosen = ranked.map(one => one.server);
    this.chosenIds = new Set(this.chosen.map(server => server.id));
    const last = ranked.at(-1);
    this.worst = ranked.length < this.most || last === undefined ? Number.NEGATIVE_INFINITY : last.rank;
  }

  private isTouched(): boolean {
    if (this.version < this.service.floor) return true;
    for (const change of this.service.changesBehind(this.version)) {
      const id = typeof change === 'string' ? change : change.id;
      if (this.chosenIds.has(id)) return true;
      if (typeof change !== 'string' && this.rank(change) > this.worst) return true;
    }
    return false;
  }

  private rank({ id, view }: Watched): number {
    const takesCalls = view.state === 'WARMING' || view.state === 'ACTIVE';
    const near = this.zone !== '' && view.spec.zone === this.zone;
    return (takesCalls ? 2 * CLASS : 0) + (near ? CLASS : 0) + rendezvousRank(this.client, hashString(id), 1);
  }
}
