/** Servers with limits under more calls than they can serve: what is served in time is what they can do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { callerOf, startBackend, startBalancer, until } from './rig.ts';

/** A call takes this by a timer, so that what servers can do is a matter of their limits and not of this machine. */
const SERVICE_MS = 60;
const TIMEOUT_MS = 700;

test('at 150 % load goodput stays, nobody has more than its limit, and the others are told before their deadline', async t => {
  const balancer = await startBalancer(t, { provider: 'none' });
  const [a, b] = await Promise.all([
    startBackend(t, balancer, 'a', '2'),
    startBackend(t, balancer, 'b', '3'),
  ]);
  const { call } = callerOf(t, balancer);
  // What they can do: enough callers that somebody always waits.
  let going = true;
  let served = 0;
  const callers = Array.from({ length: 12 }, async () => {
    for (; going; served++) await call(SERVICE_MS);
  });
  await until(() => served > 20, 'warm');
  const count = served;
  const from = performance.now();
  await sleep(3_000);
  const capacity = (served - count) / (performance.now() - from);
  going = false;
  await Promise.all(callers);

  // One and a half times that, each with a deadline; none is tried again.
  let good = 0;
  let late = 0;
  const refused: grpc.ServiceError[] = [];
  const calls: Promise<void>[] = [];
  const begun = performance.now();
  for (let n = 0; performance.now() - begun < 4_000; n++) {
    const due = begun + n / (1.5 * capacity);
    if (due > performance.now()) await sleep(due - performance.now());
    calls.push(
      call(SERVICE_MS, TIMEOUT_MS).then(
        () => void good++,
        (error: grpc.ServiceError) => {
          if (error.code === grpc.status.RESOURCE_EXHAUSTED) refused.push(error);
          else late++;
        },
      ),
    );
  }
  const spentMs = performance.now() - begun;
  await Promise.all(calls);
  // The queue is empty at the end, as at the beginning: what waited then was served beyond this time.
  const share = good / (capacity * (spentMs + TIMEOUT_MS));
  t.diagnostic(
    `capacity ${(capacity * 1_000).toFixed(1)}/s; good ${good}, refused ${refused.length}, late ${late}; share ${share.toFixed(3)}`,
  );
  assert.ok(good / (capacity * spentMs) >= 0.95, `${good} of ${capacity * spentMs}`);
  assert.ok(refused.length > late, 'most are told in time');
  assert.ok(refused.every(error => Number(error.metadata.get('grpc-retry-pushback-ms')[0]) >= 10));
  assert.deepEqual([a.most(), b.most()], [2, 3]);
});
