/** One attack on a live proxy: what it costs the proxy, and what other callers notice of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Caller, type CallerOptions, request } from '../support/h2/caller.ts';
import { Status, statusOf } from '../support/h2/status.ts';
import { type Arrival, answerOk, type Upstream } from '../support/h2/upstream.ts';
import { cpuNanoseconds, memoryBytes } from '../support/usage.ts';
import { callerFor, proxyFor, upstreamFor } from './harness.ts';

const MIB = 2 ** 20;

/** What one attacker may make a proxy hold: its limits add up to less, a quarter of it is room for a collector. */
const GROWTH_MIB = 64;
/** No attack sends for longer; what has not ended by then goes on for ever. */
const SENDS_MS = 4_000;

export interface Target {
  readonly attacker: Caller;
  readonly address: string;
  readonly upstream: Upstream;
}

export interface AttackOptions {
  /** How the attacker connects. */
  readonly caller?: CallerOptions;
  /** What the backend does with calls of the attacker; the bystander's are always answered. */
  readonly onStream?: (arrival: Arrival) => void;
  /** Whether the attacker's connection has to be ended for it. */
  readonly ends: boolean;
  readonly run: (target: Target) => Promise<void>;
}

const BYSTANDER = '/test.v1.Test/Bystander';

/** Runs it, tells the figures, and checks what holds for every attack. */
export async function attack(t: TestContext, options: AttackOptions): Promise<Target> {
  const upstream = await upstreamFor(t, {
    onStream: arrival => {
      const path = arrival.fields.find(([name]) => name === ':path')?.[1];
      (path === BYSTANDER ? answerOk : (options.onStream ?? answerOk))(arrival);
    },
  });
  const { address, pid, ended } = await proxyFor(t, [upstream.address]);
  let end: unknown;
  void ended.then(value => {
    end = value;
  });
  const bystander = await callerFor(t, address);
  const attacker = await callerFor(t, address, options.caller);
  const target = { attacker, address, upstream };
  // What the first calls make it load and compile is no doing of the attacker.
  for (let n = 0; n < 300; n++) await bystander.call(request(BYSTANDER));

  const before = { memory: memoryBytes(pid).now, cpu: cpuNanoseconds(pid), at: performance.now() };
  let peak = before.memory;
  const sampler = setInterval(() => {
    if (end === undefined) peak = Math.max(peak, memoryBytes(pid).now);
  }, 20);
  const watching = watch(bystander);
  try {
    await options.run(target);
    if (options.ends) {
      const ending = Promise.race([attacker.closed.then(() => true), sleep(3_000).then(() => false)]);
      assert.ok(await ending, 'the proxy goes on serving the attacker');
    }
  } finally {
    clearInterval(sampler);
    watching.stop();
  }
  const { calls, failed, slowestMs } = await watching.done;
  assert.equal(end, undefined, `the proxy ended: ${end}`);
  const ms = performance.now() - before.at;
  const growth = (peak - before.memory) / MIB;
  const share = ((cpuNanoseconds(pid) - before.cpu) / 1e4 / ms).toFixed(0);
  const goaway = attacker.goneAway === undefined ? '' : `, GOAWAY code ${attacker.goneAway.code}`;
  const held = attacker.isClosed ? 'ended' : 'kept';
  t.diagnostic(
    `${ms.toFixed(0)} ms, memory +${growth.toFixed(1)} MiB, CPU ${share} %, connection ${held}${goaway}; ` +
      `others: ${calls} calls, ${failed} failed, slowest ${slowestMs.toFixed(0)} ms`,
  );
  assert.equal(failed, 0, "other callers' calls failed");
  // No figure of speed: one that answers half a second late for long is held up by the attack.
  assert.ok(calls >= Math.floor(ms / 500), `others got ${calls} answers in ${ms.toFixed(0)} ms`);
  assert.ok(growth < GROWTH_MIB, `memory grew by ${growth.toFixed(0)} MiB`);
  return target;
}

/** A caller that makes one call after the other until it is stopped. */
function watch(caller: Caller): {
  stop: () => void;
  done: Promise<{ calls: number; failed: number; slowestMs: number }>;
} {
  let stopped = false;
  const run = async () => {
    const figures = { calls: 0, failed: 0, slowestMs: 0 };
    while (!stopped) {
      const start = performance.now();
      const outcome = await Promise.race([caller.call(request(BYSTANDER)), sleep(10_000)]);
      if (outcome === undefined || statusOf(outcome) !== Status.OK) figures.failed++;
      if (outcome === undefined || outcome.lost) break;
      figures.calls++;
      figures.slowestMs = Math.max(figures.slowestMs, performance.now() - start);
      await sleep(2);
    }
    return figures;
  };
  return {
    stop: () => {
      stopped = true;
    },
    done: run(),
  };
}

/**
 * Sends `count` chunks as fast as they are taken. Ends early where the connection ends, and where nothing
 * is taken any more. Returns how many were sent.
 */
export async function flood(
  caller: Caller,
  count: number,
  chunk: (n: number) => Uint8Array,
): Promise<number> {
  caller.keep = false;
  const until = performance.now() + SENDS_MS;
  for (let n = 0; n < count; n++) {
    if (caller.isClosed || performance.now() > until) return n;
    if (caller.send(chunk(n))) {
      // So that what comes back is read, and the end of the connection is seen.
      if (n % 64 === 63) await new Promise(setImmediate);
      continue;
    }
    const drained = once(caller.socket, 'drain').catch(() => undefined);
    await Promise.race([drained, caller.closed, sleep(1_000)]);
    if (caller.socket.writableNeedDrain) return n;
  }
  return count;
}
