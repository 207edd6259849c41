/**
 * The peers that the configuration names, each asked over and over whether it is there. A name may
 * stand for several instances, and for this one too: whoever answers with the own id is not listed.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { Clock, KnownInstance } from '../control/control.ts';
import { formatHostPort } from '../core/host-port.ts';
import { INSTANCE_LIMITS } from '../core/limits.ts';
import {
  ListInstancesRequest,
  ListInstancesResponse,
  ListServersRequest,
  ListServersResponse,
} from '../gen/heapmesh/v1/admin.ts';
import { ServerState } from '../gen/heapmesh/v1/server.ts';
import type { Others } from './instances.ts';

const METHOD = '/heapmesh.v1.AdminService/ListInstances';
const SERVERS = '/heapmesh.v1.AdminService/ListServers';
const TAKE_CALLS = [ServerState.SERVER_STATE_WARMING, ServerState.SERVER_STATE_ACTIVE];

export interface PeersOptions {
  /** This instance's id. */
  readonly id: string;
  /** `host:port`; a host may be a name that stands for several. */
  readonly peers: readonly string[];
  readonly clock: Clock;
  /** Addresses of a name; the machine's resolver by default. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** Somebody came or went, or another address is known of somebody. */
  readonly onChange: () => void;
  readonly onNote?: (text: string) => void;
}

export class Peers implements Others {
  readonly #options: PeersOptions;
  #configured: readonly string[];
  readonly #peers = new Map<string, Peer>();
  #told = '[]';
  #callOffPoll: (() => void) | undefined;
  #resolvedAt = Number.NEGATIVE_INFINITY;
  #closed = false;
  /** Each peer has answered or missed its first poll. */
  readonly #asked: Promise<void>;

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#configured = options.peers;
    this.#asked = this.#poll();
  }

  /** Those that answered one and the same id are one, by the address that was named first. */
  list(): readonly KnownInstance[] {
    const now = this.#options.clock.now();
    const ids = new Set([this.#options.id]);
    const found: KnownInstance[] = [];
    for (const peer of this.#peers.values()) {
      if (peer.id !== '' && ids.has(peer.id)) continue;
      if (peer.id !== '') ids.add(peer.id);
      const { id, address: control, proxy, alive } = peer;
      const silentMs = peer.heardAt === undefined ? undefined : now - peer.heardAt;
      found.push({ id, control, proxy, alive, silentMs });
    }
    return found;
  }

  /** Servers that take calls and registered with the first of the others that has any, by id; none where nobody has. */
  async registered(): Promise<readonly string[]> {
    await this.#asked;
    const others = new Set(this.list().map(one => one.control));
    for (const peer of [...this.#peers.values()]) {
      if (this.#closed) break;
      const found = peer.alive && others.has(peer.address) ? await peer.registered() : [];
      if (found.length > 0) return found;
    }
    return [];
  }

  configure(peers: readonly string[]): void {
    this.#configured = peers;
    this.#resolvedAt = Number.NEGATIVE_INFINITY;
  }

  close(): void {
    this.#closed = true;
    this.#callOffPoll?.();
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
  }

  async #round(): Promise<void> {
    const { clock } = this.#options;
    if (clock.now() - this.#resolvedAt >= INSTANCE_LIMITS.resolveMs) {
      this.#resolvedAt = clock.now();
      await this.#resolve();
    }
    await Promise.all([...this.#peers.values()].map(peer => peer.ask(clock)));
    if (!this.#closed) this.#tell();
  }

  #poll(): Promise<void> {
    return this.#round().finally(() => {
      if (!this.#closed)
        this.#callOffPoll = this.#options.clock.after(INSTANCE_LIMITS.pollMs, () => void this.#poll());
    });
  }

  async #resolve(): Promise<void> {
    const wanted = new Set<string>();
    for (const address of this.#configured) {
      for (const one of await this.#addressesOf(address)) wanted.add(one);
    }
    if (this.#closed) return;
    for (const [address, peer] of this.#peers) {
      if (wanted.has(address)) continue;
      this.#peers.delete(address);
      peer.close();
    }
    for (const address of wanted) {
      if (this.#peers.size >= INSTANCE_LIMITS.peers) break;
      if (!this.#peers.has(address)) this.#peers.set(address, new Peer(address));
    }
  }

  /** A name of one address stays a name. A name that cannot be looked up now keeps what it stood for. */
  async #addressesOf(address: string): Promise<readonly string[]> {
    const split = address.lastIndexOf(':');
    const [host, port] = [address.slice(0, split).replace(/^\[|\]$/g, ''), address.slice(split + 1)];
    if (isIP(host) !== 0) return [address];
    try {
      const found = await (this.#options.resolve ?? resolveName)(host);
      if (found.length <= 1) return [address];
      const some = found.slice(0, INSTANCE_LIMITS.addressesPerName);
      return some.map(one => formatHostPort(one, port)).sort();
    } catch (error) {
      this.#options.onNote?.(`cannot look up the peer ${address}: ${String(error)}`);
      const before = [...this.#peers.keys()].filter(one => one.endsWith(`:${port}`));
      return before.length > 0 ? before : [address];
    }
  }

  /** Silence is no change: it grows by itself. */
  #tell(): void {
    const now = JSON.stringify(
      this.list().map(({ id, control, proxy, alive }) => [id, control, proxy, alive]),
    );
    if (now === this.#told) return;
    this.#told = now;
    this.#options.onChange();
  }
}

async function resolveName(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(one => one.address);
}

class Peer {
  readonly address: string;
  id = '';
  proxy = '';
  alive = false;
  heardAt: number | undefined;
  #missed = 0;
  readonly #client: Client;

  constructor(address: string) {
    this.address = address;
    this.#client = new Client(`dns:${address}`, credentials.createInsecure(), {
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.use_local_subchannel_pool': 1,
      // The list of its servers, of which it may have 10,000.
      'grpc.max_receive_message_length': -1,
      // One that comes back is asked at the next poll.
      'grpc.initial_reconnect_backoff_ms': INSTANCE_LIMITS.pollMs / 2,
      'grpc.max_reconnect_backoff_ms': INSTANCE_LIMITS.pollMs,
    });
  }

  ask(clock: Clock): Promise<void> {
    return new Promise(resolve => {
      const encode = (request: ListInstancesRequest) =>
        Buffer.from(ListInstancesRequest.encode(request).finish());
      const decode = (bytes: Buffer) => ListInstancesResponse.decode(bytes);
      const options = { deadline: Date.now() + INSTANCE_LIMITS.pollTimeoutMs };
      this.#client.makeUnaryRequest(METHOD, encode, decode, {}, new Metadata(), options, (error, answer) => {
        // An older version has no such method, and is there all the same.
        if (error === null || error.code === status.UNIMPLEMENTED) {
          this.#missed = 0;
          this.alive = true;
          this.heardAt = clock.now();
          const [itself] = answer?.instances ?? [];
          this.id = itself?.id ?? this.id;
          this.proxy = itself?.proxyAddress ?? this.proxy;
        } else if (++this.#missed >= INSTANCE_LIMITS.missedPolls) {
          this.alive = false;
        }
        resolve();
      });
    });
  }

  /** Servers that take calls and registered with it themselves, by id; none where it does not answer. */
  registered(): Promise<readonly string[]> {
    return new Promise(resolve => {
      const encode = (request: ListServersRequest) =>
        Buffer.from(ListServersRequest.encode(request).finish());
      const decode = (bytes: Buffer) => ListServersResponse.decode(bytes);
      const options = { deadline: Date.now() + INSTANCE_LIMITS.joinAskMs };
      const request = { service: '', states: TAKE_CALLS };
      this.#client.makeUnaryRequest(
        SERVERS,
        encode,
        decode,
        request,
        new Metadata(),
        options,
        (_, answer) => {
          const themselves = answer?.servers.filter(one => one.sources.includes('stream')) ?? [];
          resolve(themselves.flatMap(one => one.server?.id ?? []));
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}
