/** Streams that carry no messages weigh nothing: the proxy looks at what goes through each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Arrival, answerOk, RESPONSE } from '../support/h2/upstream.ts';
import { data, Flag, message } from '../support/h2/wire.ts';
import { startRig, until, upstreamFor } from './rig.ts';

const STREAMS = 200;
const STREAMS_A_CALLER = 100;

test('of two equal backends that report truly the one with 200 quiet streams gets half of the unary calls', async t => {
  const quiet: Arrival[] = [];
  const onStream = (arrival: Arrival): void => {
    if (arrival.ends || quiet.length >= STREAMS) {
      answerOk(arrival);
      return;
    }
    quiet.push(arrival);
    arrival.peer.sendHeaders(arrival.stream, RESPONSE);
  };
  const counts = { a: 0, b: 0 };
  const a = await upstreamFor(t, {
    onStream: arrival => {
      counts.a++;
      onStream(arrival);
    },
  });
  const b = await upstreamFor(t, {
    onStream: arrival => {
      counts.b++;
      answerOk(arrival);
    },
  });
  const rig = await startRig(t, [a.address, b.address]);
  const { mesh } = rig;
  const { registry } = mesh;
  const cause = 'the streams are to be on the other';
  await registry.propose(
    { kind: 'drain', id: 'b', by: 'operator', timeoutMs: 60_000, afterwards: 'stay' },
    cause,
  );
  for (let opened = 0; opened < STREAMS; opened += STREAMS_A_CALLER) {
    const caller = await rig.caller();
    for (let n = 0; n < STREAMS_A_CALLER; n++) {
      const stream = caller.open();
      caller.send(data(stream, message(Buffer.from('subscribe'))));
    }
  }
  const slot = (id: string): number => mesh.slotOf(id);
  await until(() => quiet.length === STREAMS);
  assert.equal(mesh.loads.own(slot('a')), STREAMS, 'just opened, they count');
  await until(() => mesh.loads.resting(slot('a')) === STREAMS, 'every stream at rest', 20_000);
  await registry.propose({ kind: 'undrain', id: 'b' }, cause);
  for (const id of ['a', 'b']) {
    await registry.propose(
      { kind: 'observe', id, observation: { phase: 'active', healthy: true } },
      'both are warm',
    );
  }

  // Both report what is true: all that is open there, and the same utilization.
  const report = (): void => {
    for (const id of ['a', 'b']) {
      const inFlight = mesh.loads.relayed(slot(id));
      mesh.report(slot(id), { inFlight, utilization: 0.1, rps: 50, eps: 0, windowMs: 500 }, mesh.now());
    }
  };
  report();
  counts.a = counts.b = 0;
  const caller = await rig.caller();
  for (let batch = 0; batch < 50; batch++) {
    await Promise.all(Array.from({ length: 4 }, () => caller.call()));
    if (batch % 10 === 0) report();
  }
  const share = counts.a / (counts.a + counts.b);
  assert.ok(share >= 0.4 && share <= 0.6, `${share} of the unary calls went to the one with the streams`);

  // One that has something to say is load again.
  const [first] = quiet as [Arrival];
  for (let n = 0; n < 60 && mesh.loads.resting(slot('a')) === STREAMS; n++) {
    first.peer.send(data(first.stream, message(Buffer.from('news'))));
    await sleep(100);
  }
  assert.equal(mesh.loads.resting(slot('a')), STREAMS - 1);
  assert.equal(mesh.loads.own(slot('a')), 1);
});

test('a call that its backend is working on does not rest, however long it takes', async t => {
  const arrivals: Arrival[] = [];
  const a = await upstreamFor(t, { onStream: arrival => void arrivals.push(arrival) });
  const rig = await startRig(t, [a.address]);
  const caller = await rig.caller();
  const stream = caller.open();
  caller.send(data(stream, message(Buffer.from('compute')), Flag.END_STREAM));
  await until(() => arrivals.length === 1);
  const other = caller.open();
  caller.send(data(other, message(Buffer.from('wait'))));
  await until(() => arrivals.length === 2);
  arrivals[1]?.peer.sendHeaders(arrivals[1].stream, RESPONSE);
  await until(() => rig.mesh.loads.resting(0) === 1, 'the open stream at rest', 20_000);
  await sleep(2_500);
  assert.equal(rig.mesh.loads.resting(0), 1);
  assert.equal(rig.mesh.loads.own(0), 1, 'the one that is being worked on');
});
