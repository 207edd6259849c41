/** Callers under load, as a gRPC channel is one: a GOAWAY sends their next calls to a new connection. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from '../../scripts/lib/project.ts';
import { type Caller, connectCaller, request } from '../support/h2/caller.ts';
import type { Field } from '../support/h2/hpack.ts';
import type { Outcome } from '../support/h2/peer.ts';
import { Status, statusOf } from '../support/h2/status.ts';
import { type Program, startProgram } from '../support/program.ts';

export interface Call {
  /** Milliseconds of `performance.now()`. */
  readonly start: number;
  readonly end: number;
  readonly outcome: Outcome;
}

/** One connection at a time; nothing is retried, so that nothing is hidden. */
class Channel {
  readonly #address: string;
  #caller: Promise<Caller>;

  constructor(address: string) {
    this.#address = address;
    this.#caller = this.#connect();
  }

  async #connect(): Promise<Caller> {
    const caller = await connectCaller(this.#address, { connectionWindow: 2 ** 24 });
    caller.keep = false;
    return caller;
  }

  async caller(): Promise<Caller> {
    const caller = await this.#caller;
    if (caller.goneAway === undefined && !caller.isClosed) return caller;
    this.#caller = this.#connect();
    // Its streams end by themselves; the proxy ends the connection after.
    return this.#caller;
  }

  async close(): Promise<void> {
    (await this.#caller.catch(() => undefined))?.socket.destroy();
  }
}

export interface LoadOptions {
  readonly channels: number;
  /** Calls at the same time on each channel. */
  readonly each: number;
  /** A pause of each caller after a call, in ms: an upper bound of the rate. Default none. */
  readonly pauseMs?: number;
  readonly fields?: readonly Field[];
}

export class Load {
  readonly calls: Call[] = [];
  /** Channels that could not connect: their calls failed too. */
  refused = 0;
  readonly #channels: Channel[];
  readonly #workers: Promise<void>[];
  #stopped = false;

  /** When the calls began that have not ended. */
  readonly pending = new Set<number>();

  constructor(
    t: TestContext,
    address: string,
    { channels, each, pauseMs = 0, fields = request() }: LoadOptions,
  ) {
    this.#channels = Array.from({ length: channels }, () => new Channel(address));
    this.#workers = this.#channels.flatMap(channel =>
      Array.from({ length: each }, () => this.#work(channel, pauseMs, fields)),
    );
    // Where the test throws, nothing waits for its end.
    t.after(() => this.#close());
  }

  async #work(channel: Channel, pauseMs: number, fields: readonly Field[]): Promise<void> {
    while (!this.#stopped) {
      const start = performance.now();
      this.pending.add(start);
      try {
        const caller = await channel.caller();
        const outcome = await caller.call(fields);
        this.calls.push({ start, end: performance.now(), outcome });
      } catch {
        this.refused++;
        await sleep(50);
      }
      this.pending.delete(start);
      if (pauseMs > 0) await sleep(pauseMs);
    }
  }

  /** Ends when the calls under way have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#channels.map(channel => channel.close()));
  }

  failed(): Call[] {
    return this.calls.filter(({ outcome }) => statusOf(outcome) !== Status.OK);
  }
}

/** How calls failed, in words, for messages of tests. */
export function told(calls: readonly Call[], since: number): string {
  const kinds = Map.groupBy(calls, ({ outcome }) => {
    const how = outcome.lost ? 'lost' : outcome.reset !== undefined ? `RST ${outcome.reset}` : 'trailers';
    return `status ${statusOf(outcome)} by ${how} "${outcome.grpcMessage}"`;
  });
  return [...kinds]
    .map(([kind, group]) => {
      const starts = group.map(({ start }) => start - since);
      return `${group.length} × ${kind}, begun ${Math.min(...starts).toFixed(0)} to ${Math.max(...starts).toFixed(0)} ms after`;
    })
    .join('; ');
}

export interface BackendProcess extends Program {
  readonly address: string;
}

/** A backend in a process of its own, until the test ends. */
export async function backendProcess(t: TestContext, delayMs: number): Promise<BackendProcess> {
  const address = Promise.withResolvers<string>();
  const script = join(ROOT, 'test/support/backend-process.ts');
  const args = ['--conditions=heapmesh-source', script, '--delay', String(delayMs)];
  const program = await startProgram(process.execPath, args, {
    env: { NODE_NO_WARNINGS: '1' },
    onLine: line => address.resolve(line),
  });
  void program.ended.then(end =>
    address.reject(new Error(`the backend ended (${end}): ${program.printed()}`)),
  );
  t.after(() => program.stop(0));
  return { ...program, address: await address.promise };
}

export async function backendProcesses(
  t: TestContext,
  count: number,
  delayMs: number,
): Promise<BackendProcess[]> {
  const all = await Promise.all(Array.from({ length: count }, () => backendProcess(t, delayMs)));
  assert.equal(new Set(all.map(({ address }) => address)).size, count);
  return all;
}
