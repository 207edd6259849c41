/** PickServer: which backend to call now, with a lease that counts as a call in flight. */
import { PickFailure } from '../core/core.ts';
import { LeaseKind } from '../core/load-table.ts';
import type { Mesh } from '../core/mesh.ts';
import type { PickWant, Pool } from '../core/pool.ts';
import { WaitFailure } from '../core/wait-queue.ts';
import type { PickServerRequest } from '../gen/heapmesh/v1/lookaside.ts';
import type { CallTrace } from '../grpc/call-tracer.ts';
import { Status } from '../grpc/status.ts';
import { type Authorize, demand } from './authorize.ts';
import { heard, publish } from './channels.ts';
import type { Clock } from './clock.ts';
import type { ControlCounters } from './counters.ts';
import type { PickAnswers } from './pick-answer.ts';
import { decodePick } from './pick-request.ts';
import { type Patience, type Peer, RpcError, type UnaryMethod } from './rpc.ts';
import type { TracedPicks } from './traced-picks.ts';
import { validPick } from './validate.ts';

export interface PickOptions {
  readonly mesh: Mesh;
  readonly answers: PickAnswers;
  readonly authorize: Authorize;
  readonly clock: Clock;
  readonly counters: ControlCounters;
  /** Zone of callers that name none; empty for none. */
  readonly zone: string;
  readonly traced?: TracedPicks | undefined;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** A pick that has to wait. */
interface Asked {
  readonly pool: Pool;
  readonly service: string;
  readonly want: PickWant | undefined;
  readonly patience: Patience;
  readonly trace: CallTrace | undefined;
  /** What the witness of a pick is told that it was for. */
  readonly asker: PickAsker;
}

/** Whom a pick is for: its span where it has one, else the caller. */
export type PickAsker = CallTrace | Peer;

/** As the caller sent it, or as its span goes on; empty where there is none. */
export function traceparentOf(asker: PickAsker): string {
  return 'context' in asker ? asker.context.traceparent : (asker.metadata?.('traceparent') ?? '');
}

/** Share of a caller's time within which one that waits is answered. */
const ANSWER_WITHIN = 0.9;

export class Picks {
  private readonly options: PickOptions;

  constructor(options: PickOptions) {
    this.options = options;
  }

  method(): UnaryMethod<PickServerRequest> {
    return {
      kind: 'unary',
      path: '/heapmesh.v1.LookasideService/PickServer',
      decode: decodePick,
      handle: (request, peer, patience) => {
        const { traced } = this.options;
        if (traced === undefined) return this.pick(request, peer, patience, undefined);
        return traced.run(request.service, request.method, peer, trace =>
          this.pick(request, peer, patience, trace),
        );
      },
    };
  }

  private pick(
    request: PickServerRequest,
    peer: Peer,
    patience: Patience,
    trace: CallTrace | undefined,
  ): Buffer | Promise<Buffer> {
    const { mesh, authorize, clock, counters } = this.options;
    try {
      validPick(request);
    } catch (error) {
      counters.pickInvalid++;
      throw error;
    }
    const { service } = request;
    demand(authorize, peer, 'pick', service);
    const pool = mesh.pool(service);
    if (pool === undefined) {
      counters.pickUnknownService++;
      throw new RpcError(Status.NOT_FOUND, `no server serves '${service}'`);
    }
    const now = clock.now();
    const want = this.wantOf(request);
    // Nobody overtakes those that wait.
    const asker = trace ?? peer;
    const lease = pool.queue.size > 0 ? PickFailure.ALL_FULL : pool.pick(now, LeaseKind.LEASED, want, asker);
    if (lease >= 0) return this.answer(lease, pool, service, now, trace);
    return this.wait({ pool, service, want, patience, trace, asker }, lease as PickFailure, now);
  }

  /** Lets the caller wait for a server, or throws why there is none. */
  private wait(asked: Asked, failed: PickFailure, now: number): Promise<Buffer> {
    const { pool, service, want, patience, trace, asker } = asked;
    const failure = failed === PickFailure.ALL_FULL && pool.isDown ? PickFailure.NONE_HEALTHY : failed;
    if (!pool.mayWait(failure)) throw this.refusal(pool, service, failure);
    const { queue } = pool;
    // An answer in time, if it be a refusal, is worth more than a wait to the last.
    const deadline = now + Math.min(queue.maxWaitMs, patience.remainingMs() * ANSWER_WITHIN);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    let isOver = false;
    const fail = (error: RpcError): void => {
      isOver = true;
      reject(error);
    };
    const ticket = queue.enter(
      {
        turn: at => {
          const lease = pool.pick(at, LeaseKind.LEASED, want, asker);
          if (lease < 0 && pool.mayWait(lease as PickFailure)) return false;
          if (lease < 0) {
            fail(this.refusal(pool, service, lease as PickFailure));
            return 'left';
          }
          isOver = true;
          resolve(this.answer(lease, pool, service, at, trace));
          return true;
        },
        tooLate: at => {
          queue.pushbackMs = (queue.size * 1_000) / queue.rate(at);
          fail(this.exhausted(pool, service, `waited ${Math.round(at - now)} ms in vain`));
        },
        poolEnded: () => fail(this.refusal(pool, service, PickFailure.EMPTY)),
      },
      deadline,
      now,
      pool.expectation(),
    );
    if (ticket < 0) {
      const why = ticket === WaitFailure.OVERFULL ? 'as many wait as may' : 'it would wait too long';
      throw this.exhausted(pool, service, `${why} (${queue.size} do)`);
    }
    patience.onCancelled(() => {
      if (isOver) return;
      queue.leave(ticket);
      trace?.end(Status.CANCELLED, 'the caller gave it up');
    });
    return promise;
  }

  private answer(
    lease: number,
    pool: Pool,
    service: string,
    now: number,
    trace: CallTrace | undefined,
  ): Buffer {
    const { mesh, answers, counters } = this.options;
    const slot = mesh.leases.slotOf(lease);
    counters.picked++;
    if (trace !== undefined) this.options.traced?.picked(trace, pool, lease, slot);
    if (heard('heapmesh:control:pick')) {
      publish('heapmesh:control:pick', () => ({ service, serverId: mesh.idOf(slot), failure: 0 }));
    }
    return answers.encode(lease, slot, pool, now);
  }

  private wantOf(request: PickServerRequest): PickWant | undefined {
    const { excludeIds, hashKey } = request;
    const zone = request.zone === '' ? this.options.zone : request.zone;
    if (excludeIds.length === 0 && hashKey === '' && zone === '') return undefined;
    const want: { exclude?: number[]; hashKey?: string; zone?: string } = {};
    for (const id of excludeIds) {
      const slot = this.options.mesh.slotOf(id);
      if (slot < 0) continue;
      want.exclude ??= [];
      want.exclude.push(slot);
    }
    if (hashKey !== '') want.hashKey = hashKey;
    if (zone !== '') want.zone = zone;
    return want;
  }

  private exhausted(pool: Pool, service: string, why: string): RpcError {
    const { counters, random } = this.options;
    counters.pickFull++;
    publish('heapmesh:control:pick', () => ({ service, serverId: '', failure: PickFailure.ALL_FULL }));
    const message = `all ${pool.eligible} servers of '${service}' are at their max_concurrency: ${why}`;
    return new RpcError(Status.RESOURCE_EXHAUSTED, message, [], pool.queue.pushback(random()));
  }

  private refusal(pool: Pool, service: string, failure: PickFailure): RpcError {
    const { counters } = this.options;
    publish('heapmesh:control:pick', () => ({ service, serverId: '', failure }));
    const { standby, warming, active, draining, ejected } = pool.counts();
    const able = warming + active;
    switch (failure) {
      case PickFailure.ALL_FULL:
        counters.pickFull++;
        return new RpcError(
          Status.RESOURCE_EXHAUSTED,
          `all ${able} servers of '${service}' are at their max_concurrency`,
        );
      case PickFailure.EXCLUDED:
        counters.pickUnavailable++;
        return new RpcError(
          Status.UNAVAILABLE,
          `all ${able} servers of '${service}' were excluded or are full`,
        );
      default: {
        counters.pickUnavailable++;
        const known = `${standby} standby, ${draining} draining, ${ejected} ejected`;
        return new RpcError(Status.UNAVAILABLE, `no server of '${service}' takes calls: ${known}`);
      }
    }
  }
}
