/** What an operator can do, for callers within the process: the handlers of AdminService, by plain values. */
import { Server } from '../gen/heapmesh/v1/server.ts';
import { durationOf } from '../grpc/duration.ts';
import type { Admin } from './admin.ts';
import { type Authorize, demand } from './authorize.ts';
import type { Peer } from './rpc.ts';

export interface ServerAction {
  readonly id: string;
  /** Empty: it is said that an operator did it. */
  readonly cause: string;
  /** How long calls in flight may take; undefined is the default of the method. */
  readonly timeoutMs: number | undefined;
}

export interface NewServer {
  /** Empty: the address. */
  readonly id: string;
  readonly address: string;
  readonly services: readonly string[];
  /** 0 is 1. */
  readonly weight: number;
  readonly zone: string;
  /** 0 is no limit. */
  readonly maxConcurrency: number;
  readonly standby: boolean;
}

/** What an operator can do, for who needs no more of it. */
export type OperatorActions = Pick<Operator, keyof Operator>;

/** Every method rejects with `RpcError`: an error with a gRPC `code`, and a message for who asked. */
export class Operator {
  private readonly admin: Admin;
  private readonly authorize: Authorize;

  constructor(admin: Admin, authorize: Authorize) {
    this.admin = admin;
    this.authorize = authorize;
  }

  async drain({ id, cause, timeoutMs }: ServerAction, peer: Peer): Promise<void> {
    this.demand(peer, id);
    await this.admin.drain({ id, cause, timeout: durationFor(timeoutMs) });
  }

  async undrain({ id }: ServerAction, peer: Peer): Promise<void> {
    this.demand(peer, id);
    await this.admin.undrain({ id });
  }

  async activate({ id, cause }: ServerAction, peer: Peer): Promise<void> {
    this.demand(peer, id);
    await this.admin.activate({ id, cause });
  }

  async remove({ id, timeoutMs }: ServerAction, peer: Peer): Promise<void> {
    this.demand(peer, id);
    await this.admin.remove({ id, drainTimeout: durationFor(timeoutMs) });
  }

  async weigh(id: string, weight: number, peer: Peer): Promise<void> {
    this.demand(peer, id);
    await this.admin.weigh({ id, weight });
  }

  /** Returns the id that it has. */
  async add({ services, standby, ...server }: NewServer, peer: Peer): Promise<string> {
    this.demand(peer, server.id);
    const message = Server.fromPartial({ ...server, services: [...services] });
    const added = await this.admin.add({ server: message, standby });
    return added.server?.server?.id ?? server.id;
  }

  private demand(peer: Peer, id: string): void {
    demand(this.authorize, peer, 'admin.write', id);
  }
}

function durationFor(ms: number | undefined) {
  return ms === undefined ? undefined : durationOf(ms);
}
