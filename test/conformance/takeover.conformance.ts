/** A new version of the proxy takes over the port while the old one drains, twenty times under load. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from '../support/h2/caller.ts';
import type { ProxyOptions, RunningProxy } from '../support/proxy-under-test.ts';
import { callerFor, proxy } from './harness.ts';
import { backendProcesses, Load, told } from './load.ts';

const RESTARTS = 20;
const STREAMS = 200;
const DRAIN_MS = 60_000;

test('twenty take-overs at 2,000 calls a second with 200 open streams', { timeout: 120_000 }, async t => {
  const backends = await backendProcesses(t, 3, 2);
  const all = backends.map(({ address }) => address);
  const options: ProxyOptions = { drainTimeoutMs: DRAIN_MS, maxConcurrentStreams: 250 };
  const started: RunningProxy[] = [];
  t.after(() => Promise.all(started.map(each => each.stop())));
  let current = await proxy.start(all, { ...options, reusePort: true });
  started.push(current);
  const holder = await callerFor(t, current.address, { connectionWindow: 2 ** 24 });
  holder.keep = false;
  const streams = Array.from({ length: STREAMS }, () => holder.open(request('/test.v1.Test/Stream')));
  await holder.roundTrip();
  // 40 callers, each a call every 20 ms.
  const load = new Load(t, current.address, { channels: 8, each: 5, pauseMs: 16 });
  await sleep(500);
  const from = performance.now();
  for (let n = 0; n < RESTARTS; n++) {
    current = await proxy.start(all, { ...options, takeOver: current });
    started.push(current);
    await sleep(100);
  }
  await sleep(500);
  await load.stop();
  const ms = performance.now() - from;
  const failed = load.failed();
  t.diagnostic(
    `${load.calls.length} calls in ${ms.toFixed(0)} ms, ${failed.length} failed, ${load.refused} connections refused`,
  );
  assert.equal(failed.length, 0, told(failed, from));
  assert.equal(load.refused, 0);
  assert.ok(ms < DRAIN_MS, 'too slow a machine: the streams may have been cut rightly');
  const cut = streams.filter(stream => {
    const { ended, reset } = holder.answer(stream);
    return ended || reset !== undefined;
  });
  assert.equal(cut.length, 0, 'streams were cut');
  assert.equal(holder.isClosed, false);
});
