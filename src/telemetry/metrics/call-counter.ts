/** Counts calls as the proxy tells of them: adds to typed arrays, and makes nothing. */
import type { Pool } from '../../core/pool.ts';
import type { Status } from '../../grpc/status.ts';
import { type Call, type CallObserver, EndedBy, type TransparentProxy } from '../../proxy/proxy.ts';
import type { Attempts } from './attempts.ts';
import { Exemplars } from './exemplars.ts';
import { Latencies } from './latency.ts';
import { Methods } from './methods.ts';

/** By call's index, two cells: the row of its attempt, and how often the policy had sent it. */
const ATTEMPT = 0;
const SENT = 1;

export class CallCounter implements CallObserver {
  readonly attempts: Attempts;
  readonly methods = new Methods();
  /** How long calls waited for a stream, in row 0; those that did not wait are not in it. */
  readonly waits = new Latencies();
  /** Of calls of no pool: nobody serves what they ask for, or this process answers them itself. */
  without = 0;
  private readonly wall: () => number;
  private cells = new Int32Array(0);

  /** Gives the trace of a call that ends, empty where it is not traced: an example of the bucket that it counts in. */
  traceOf: ((call: Call) => string) | undefined;
  readonly exemplars = new Exemplars();

  /** @param wall wall clock, ms since 1970 */
  constructor(attempts: Attempts, wall: () => number) {
    this.attempts = attempts;
    this.wall = wall;

    this.waits.grow(1);
  }

  began(call: Call): void {
    const at = call.index << 1;
    if (at >= this.cells.length) this.grow(at + 2);
    this.cells[at + ATTEMPT] = -1;
    this.cells[at + SENT] = 0;
    if (call.pool === undefined) return;
    const { row } = this.attempts.poolRow(call.pool);
    const { inFlight } = this.attempts.poolRows;
    inFlight[row] = (inFlight[row] as number) + 1;
  }

  attemptBegan(call: Call): void {
    const { cells, attempts } = this;
    if (call.pool === undefined) return;
    const pool = attempts.poolRow(call.pool);
    const row = attempts.pairRow(pool, call.slot);
    const at = call.index << 1;
    if (call.facts.sends > 1) {
      const counts = cells[at + SENT] === call.attempts ? attempts.moves : attempts.retries;
      counts[pool.row] = (counts[pool.row] as number) + 1;
    }
    cells[at + ATTEMPT] = row;
    cells[at + SENT] = call.attempts;
    const { inFlight } = attempts.rows;
    inFlight[row] = (inFlight[row] as number) + 1;
  }

  waited(_call: Call, ms: number): void {
    this.waits.add(0, ms);
  }

  attemptEnded(call: Call, status: Status): void {
    const row = this.cells[(call.index << 1) + ATTEMPT] as number;
    if (row < 0) return;
    const { rows } = this.attempts;
    rows.inFlight[row] = (rows.inFlight[row] as number) - 1;
    rows.ended(row, status, call.facts.leftAt - call.sentAt);
  }

  draining(): void {}

  ended(call: Call, status: Status): void {
    const { facts } = call;
    const ms = facts.endedAt - call.received;
    const served = facts.endedBy === EndedBy.BACKEND || facts.answeredAt >= 0;
    if (call.pool !== undefined && call.slot < 0) this.refuse(call.pool);
    if (call.pool === undefined) {
      this.without++;
    } else {
      const { row } = this.attempts.poolRow(call.pool);
      const { poolRows } = this.attempts;
      poolRows.inFlight[row] = (poolRows.inFlight[row] as number) - 1;
      poolRows.ended(row, status, ms);
      addTraffic(poolRows, row, call);
    }
    const attempt = this.cells[(call.index << 1) + ATTEMPT] as number;
    if (attempt >= 0) addTraffic(this.attempts.rows, attempt, call);
    const duration = this.methods.ended(call.path, status, ms, served);
    const trace = this.traceOf === undefined ? '' : this.traceOf(call);
    if (trace !== '') this.exemplars.add(duration, { traceId: trace, seconds: ms / 1000, wall: this.wall() });
  }

  /**
   * Octets and messages by row, those of calls that are open included: the counters of a stream move while it is open.
   * Looks at each open call once.
   */
  carried(proxy: TransparentProxy): { readonly pairs: Traffic; readonly pools: Traffic } {
    const { rows, poolRows } = this.attempts;
    const pairs = copyOf(rows);
    const pools = copyOf(poolRows);
    proxy.eachCall(call => {
      // One that is over is counted, and may still be with a caller that takes its time.
      if (call.isOver) return;
      const attempt = this.cells[(call.index << 1) + ATTEMPT] ?? -1;
      if (attempt >= 0) addTraffic(pairs, attempt, call);
      if (call.pool !== undefined) addTraffic(pools, this.attempts.poolRow(call.pool).row, call);
    });
    return { pairs, pools };
  }

  private refuse(pool: Pool): void {
    const { row } = this.attempts.poolRow(pool);
    const { refused } = this.attempts;
    refused[row] = (refused[row] as number) + 1;
  }

  private grow(least: number): void {
    const wider = new Int32Array(Math.max(256, least, this.cells.length * 2)).fill(-1);
    wider.set(this.cells);
    this.cells = wider;
  }
}

/** Octets and messages by row. */
export interface Traffic {
  readonly sentBytes: Float64Array;
  readonly receivedBytes: Float64Array;
  readonly sentMessages: Float64Array;
  readonly receivedMessages: Float64Array;
}

function copyOf(from: Traffic): Traffic {
  return {
    sentBytes: from.sentBytes.slice(),
    receivedBytes: from.receivedBytes.slice(),
    sentMessages: from.sentMessages.slice(),
    receivedMessages: from.receivedMessages.slice(),
  };
}

function addTraffic(to: Traffic, row: number, { facts }: Call): void {
  to.sentBytes[row] = (to.sentBytes[row] as number) + facts.requestBytes;
  to.receivedBytes[row] = (to.receivedBytes[row] as number) + facts.responseBytes;
  to.sentMessages[row] = (to.sentMessages[row] as number) + facts.request.messages;
  to.receivedMessages[row] = (to.receivedMessages[row] as number) + facts.response.messages;
}
