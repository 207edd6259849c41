/**
 * One pick of a channel: from the pool's root to what grpc-js wants to know. The call counts from here
 * until its status, or until it is clear that it never began: its caller may cancel it while its call
 * credentials are being made, of which grpc-js tells nobody.
 */
import { Outcome } from '../core/core.ts';
import { CALLER_LIMITS } from '../core/limits.ts';
import { LeaseKind } from '../core/load-table.ts';
import type { PickWant, Pool } from '../core/pool.ts';
import { outcomeOf } from '../grpc/status.ts';
import type { Connections } from './connections.ts';
import {
  Connectivity,
  type PickArgs,
  type Picker,
  PickKind,
  type PickResult,
  type Subchannel,
} from './grpc.ts';
import type { CallerTable } from './table.ts';

/** Metadata for the balancer's side of a call; none of it goes to a server. */
const HASH_KEY = 'heapmesh-hash-key';
const ZONE = 'heapmesh-zone';
const BUFFER = 'heapmesh-buffer';

export interface PickerOptions {
  readonly table: CallerTable;
  readonly pool: Pool;
  readonly connections: Connections;
  /** For calls that name none. */
  readonly zone: string;
  /** No server can be picked: what becomes of the call. */
  readonly refuse: () => PickResult;
  /** A call ended. */
  readonly onEnd: () => void;
}

interface Ticket {
  lease: number;
  readonly subchannel: Subchannel;
  readonly pickedAt: number;
  started: boolean;
}

export class HeapPicker implements Picker {
  readonly #options: PickerOptions;
  readonly #zoneWant: PickWant | undefined;
  /** Picks whose call has not been seen to begin. */
  #unstarted: Ticket[] = [];
  #sweeping = false;

  constructor(options: PickerOptions) {
    this.#options = options;
    this.#zoneWant = options.zone === '' ? undefined : { zone: options.zone };
  }

  pick(args: PickArgs): PickResult {
    const { table, pool, connections, refuse, onEnd } = this.#options;
    const now = table.clock();
    const lease = pool.pick(now, LeaseKind.RELAYED, this.#want(args.metadata));
    if (lease < 0) return refuse();
    const slot = table.leases.slotOf(lease);
    const subchannel = connections.at(slot) as Subchannel;
    if (table.loads.relayed(slot) > CALLER_LIMITS.busyCalls) connections.more();
    const ticket: Ticket = { lease, subchannel, pickedAt: now, started: false };
    this.#unstarted.push(ticket);
    if (!this.#sweeping) this.#sweepSoon(0);
    return {
      pickResultType: PickKind.COMPLETE,
      subchannel,
      status: null,
      onCallStarted: () => {
        ticket.started = true;
      },
      onCallEnded: status => {
        const end = table.clock();
        table.leases.complete(ticket.lease, end, outcomeOf(status), end - now);
        onEnd();
      },
    };
  }

  #want(metadata: PickArgs['metadata']): PickWant | undefined {
    const hashKey = metadata.get(HASH_KEY)[0];
    const zone = metadata.get(ZONE)[0];
    // The metadata of a pick is what goes out with the call: see the contract test.
    metadata.remove(HASH_KEY);
    metadata.remove(ZONE);
    metadata.remove(BUFFER);
    if (hashKey === undefined && zone === undefined) return this.#zoneWant;
    return { hashKey: String(hashKey ?? ''), zone: String(zone ?? this.#options.zone) };
  }

  #sweepSoon(ms: number): void {
    this.#sweeping = true;
    // Calls without call credentials begin in the same turn, before an immediate.
    if (ms === 0) setImmediate(() => this.#sweep());
    else setTimeout(() => this.#sweep(), ms).unref();
  }

  #sweep(): void {
    const { leases, clock } = this.#options.table;
    const now = clock();
    const waiting: Ticket[] = [];
    for (const ticket of this.#unstarted) {
      if (ticket.started) continue;
      const late = now - ticket.pickedAt > CALLER_LIMITS.unstartedMs;
      // grpc-js picks again where the connection is gone by the time that a call could begin.
      if (late || ticket.subchannel.getConnectivityState() !== Connectivity.READY) {
        leases.complete(ticket.lease, now, Outcome.NEUTRAL, -1);
      } else {
        waiting.push(ticket);
      }
    }
    this.#unstarted = waiting;
    this.#sweeping = false;
    if (waiting.length > 0) this.#sweepSoon(CALLER_LIMITS.tickMs);
  }
}
