/**
 * A channel's connections to the servers of its list. A server is in the channel's pool while its
 * connection stands, so that every pick can be called at once. Connections are opened eagerly up to a
 * limit, in an order that differs from caller to caller, and beyond it one at a time as load asks.
 */

import { CALLER_LIMITS } from '../core/limits.ts';
import type { Pool } from '../core/pool.ts';
import { hashString, rendezvousRank } from '../core/rendezvous.ts';
import { type Directory, isPickable, type Known } from './directory.ts';
import { type ChannelOptions, Connectivity, type ControlHelper, type Subchannel } from './grpc.ts';

type Listener = Parameters<Subchannel['addConnectivityStateListener']>[0];

/** `failing` lasts from a failed attempt until a connection stands, retries included. */
type Link = 'none' | 'connecting' | 'ready' | 'failing';

interface Member {
  server: Known;
  link: Link;
  subchannel: Subchannel | undefined;
  listener: Listener | undefined;
  /** Place in the order of connecting; the highest first. */
  rank: number;
}

/** Above every rank: −1 / ln u is at most 2³³ for the u that a 32-bit hash gives. */
const NEARER = 2 ** 40;

export interface ConnectionsOptions {
  readonly helper: ControlHelper;
  readonly directory: Directory;
  readonly pool: Pool;
  readonly subchannelOptions: ChannelOptions;
  /** Servers in it are connected to first; empty is none. */
  readonly zone: string;
  readonly clientId: string;
  /** A server became ready to be picked, or ceased to be. */
  readonly onChange: () => void;
}

export interface Tally {
  ready: number;
  connecting: number;
  failing: number;
  /** Not connected to, since enough others are. */
  waiting: number;
}

export class Connections {
  /** Why the last attempt failed; empty: none did. */
  lastError = '';

  readonly #options: ConnectionsOptions;
  readonly #members = new Map<string, Member>();
  /** By slot of the load table. */
  readonly #bySlot: (Member | undefined)[] = [];
  readonly #clientHash: number;
  readonly #unlisten: () => void;
  /** Undefined: to be counted anew. */
  #tally: Tally | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#clientHash = hashString(options.clientId);
    for (const server of options.directory.servers()) this.#put(server);
    this.#fill();
    this.#unlisten = options.directory.listen({
      changed: server => this.#put(server),
      removed: server => this.#remove(server),
      settled: () => {
        this.#fill();
        options.onChange();
      },
    });
  }

  /** The connection to the server in a slot; undefined where there is none that stands. */
  at(slot: number): Subchannel | undefined {
    const member = this.#bySlot[slot];
    return member?.link === 'ready' ? member.subchannel : undefined;
  }

  /** Of the servers that take calls. */
  tally(): Readonly<Tally> {
    if (this.#tally !== undefined) return this.#tally;
    const tally = { ready: 0, connecting: 0, failing: 0, waiting: 0 };
    for (const member of this.#members.values()) {
      if (member.link === 'ready' ? !isPickable(member.server.view.state) : !this.#wanted(member)) continue;
      if (member.link === 'none') tally.waiting++;
      else tally[member.link]++;
    }
    this.#tally = tally;
    return tally;
  }

  /** The best connected server is busy: one more connection, unless one is on its way. */
  more(): void {
    const { connecting, waiting } = this.tally();
    if (waiting > 0 && connecting === 0) this.#connectNext();
  }

  close(): void {
    this.#unlisten();
    for (const member of this.#members.values()) this.#disconnect(member);
    this.#members.clear();
  }

  #put(server: Known): void {
    let member = this.#members.get(server.row.id);
    if (member === undefined) {
      const { zone } = this.#options;
      const near = zone !== '' && server.view.spec.zone === zone;
      const rank = rendezvousRank(this.#clientHash, hashString(server.row.id), 1);
      member = {
        server,
        link: 'none',
        subchannel: undefined,
        listener: undefined,
        rank: near ? rank + NEARER : rank,
      };
      this.#members.set(server.row.id, member);
      this.#bySlot[server.row.slot] = member;
    }
    member.server = server;
    this.#tally = undefined;
    if (member.link === 'ready') this.#enter(member);
    // A connection that ended while its server took no calls is opened again.
    else if (this.#wanted(member)) member.subchannel?.startConnecting();
  }

  #remove(server: Known): void {
    const member = this.#members.get(server.row.id);
    if (member === undefined) return;
    this.#tally = undefined;
    this.#members.delete(server.row.id);
    this.#bySlot[server.row.slot] = undefined;
    this.#disconnect(member);
  }

  /** Opens connections until enough are there or on their way. */
  #fill(): void {
    const { ready, connecting, waiting } = this.tally();
    const most = Math.min(waiting, CALLER_LIMITS.eagerConnections - ready - connecting);
    for (let i = 0; i < most; i++) this.#connectNext();
  }

  #connectNext(): void {
    let next: Member | undefined;
    for (const member of this.#members.values()) {
      if (member.link !== 'none' || !this.#wanted(member)) continue;
      if (next === undefined || member.rank > next.rank) next = member;
    }
    if (next !== undefined) this.#connect(next);
  }

  #connect(member: Member): void {
    const { helper, subchannelOptions } = this.#options;
    const { host, port } = member.server;
    // The name that a certificate must bear is the server's, unless the channel's owner gave one.
    const options = { 'grpc.ssl_target_name_override': host, ...subchannelOptions };
    const subchannel = helper.createSubchannel({ host, port }, options);
    subchannel.ref();
    helper.addChannelzChild(subchannel.getChannelzRef());
    member.subchannel = subchannel;
    member.link = 'connecting';
    this.#tally = undefined;
    member.listener = (_subchannel, _before, state, _keepaliveMs, why) => this.#follow(member, state, why);
    subchannel.addConnectivityStateListener(member.listener);
    // Another channel may have connected it.
    this.#follow(member, subchannel.getConnectivityState(), undefined);
  }

  #follow(member: Member, state: number, why: string | undefined): void {
    const before = member.link;
    this.#tally = undefined;
    if (state === Connectivity.READY) {
      member.link = 'ready';
      this.#enter(member);
    } else {
      this.#options.pool.remove(member.server.row.slot);
      if (state === Connectivity.TRANSIENT_FAILURE) {
        member.link = 'failing';
        if (why !== undefined) this.lastError = why;
      } else if (before === 'ready') {
        member.link = 'connecting';
      }
      if (state !== Connectivity.CONNECTING && this.#wanted(member)) member.subchannel?.startConnecting();
    }
    if (member.link === before) return;
    // A server that cannot be reached gives its place to the next.
    if (member.link === 'failing') this.#fill();
    this.#options.onChange();
  }

  #wanted(member: Member): boolean {
    return isPickable(member.server.view.state) && member.server.confirmed;
  }

  /** Into the pool, or its place there according to its present state. */
  #enter(member: Member): void {
    const { pool, directory } = this.#options;
    const { row, view } = member.server;
    const now = directory.table.clock();
    if (pool.has(row.slot)) pool.change(row.slot, view, row.newcomer, now);
    else pool.add(row.slot, view, row.newcomer, now);
  }

  #disconnect(member: Member): void {
    this.#options.pool.remove(member.server.row.slot);
    const { subchannel, listener } = member;
    member.link = 'none';
    member.subchannel = undefined;
    if (subchannel === undefined) return;
    if (listener !== undefined) subchannel.removeConnectivityStateListener(listener);
    this.#options.helper.removeChannelzChild(subchannel.getChannelzRef());
    // Calls in flight go on until they end: grpc-js closes the connection after them.
    subchannel.unref();
  }
}
