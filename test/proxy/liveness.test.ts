import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PROXY_LIMITS } from '../../src/core/limits.ts';
import { Latencies } from '../../src/proxy/latencies.ts';
import { Liveness, type Verdict } from '../../src/proxy/liveness.ts';
import { Status } from '../support/h2/status.ts';
import { type Arrival, answerOk } from '../support/h2/upstream.ts';
import { Code, Flag, ping, reset, Type } from '../support/h2/wire.ts';
import { seeded } from '../support/seed.ts';
import { startRig, until, upstreamFor } from './rig.ts';

const PATIENCE: number = PROXY_LIMITS.silenceMs;

/** A connection as time goes by, looked at each 250 ms. */
class Clock {
  now = 0;
  lastRead = 0;
  calls = 0;
  readonly live = new Liveness();
  /** What was to be done, and when. */
  readonly said: [Verdict, number][] = [];

  /** @param heard octets come each so many ms; 0: never */
  run(ms: number, patience = PATIENCE, answersPings = false): this {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 250;
      const verdict = this.live.look(this.now, this.lastRead, this.calls, patience);
      if (verdict !== 'nothing') this.said.push([verdict, this.now]);
      if (verdict === 'ask' && answersPings) this.lastRead = this.now + 1;
    }
    return this;
  }

  begin(): this {
    this.live.began(this.now);
    this.calls++;
    return this;
  }

  answer(): this {
    this.lastRead = this.now;
    this.live.answered();
    return this;
  }

  verdicts(): Verdict[] {
    return this.said.map(([verdict]) => verdict);
  }
}

test('a frozen backend is asked after a second, silent after its patience, dead at the end', () => {
  const clock = new Clock().begin().run(30_000);
  const [ask, silent, dead] = clock.said;
  assert.deepEqual(clock.verdicts().slice(0, 3), ['ask', 'silent', 'dead']);
  assert.ok((ask?.[1] ?? 0) <= 1_500 && (silent?.[1] ?? 0) <= 3_000 && (dead?.[1] ?? 0) <= 20_500);
  const patient = new Clock().begin().run(12_000, 8_000);
  assert.deepEqual(patient.said.at(-1), ['silent', 8_250]);
});

test('a stream that says nothing for hours is asked now and then, and nothing else', () => {
  const clock = new Clock().begin().run(3_600_000, PATIENCE, true);
  assert.deepEqual(new Set(clock.verdicts()), new Set(['ask']));
  assert.ok(clock.said.length <= 13, `${clock.said.length} PINGs in an hour`);
  // grpc-go: a PING within five minutes of the one before is a strike, and the third ends the connection.
  const times = clock.said.map(([, at]) => at);
  const strikes = times.filter((at, i) => i > 0 && at - (times[i - 1] ?? 0) < 300_000).length;
  assert.ok(strikes <= 2, `${strikes} strikes`);
});

test('slow calls one after the other do not make it ask more than is forgiven', () => {
  const clock = new Clock();
  for (let n = 0; n < 50; n++) clock.begin().run(5_000, PATIENCE, true);
  assert.deepEqual(clock.verdicts(), ['ask', 'ask', 'ask']);
  // An answer earns more of them.
  clock.answer().run(5_000, PATIENCE, true);
  assert.equal(clock.said.length, 4);
});

test('without calls nothing is asked, and one that is asked for is waited for without calls too', () => {
  assert.deepEqual(new Clock().run(1_000_000).said, []);
  const cancelled = new Clock().begin();
  cancelled.calls = 0;
  assert.deepEqual(cancelled.run(1_000_000).said, []);
  const clock = new Clock().begin().run(3_000);
  clock.calls = 0;
  assert.deepEqual(clock.verdicts(), ['ask', 'silent']);
  clock.run(5_000).lastRead = clock.now;
  assert.deepEqual(clock.run(500).verdicts(), ['ask', 'silent', 'spoke']);
  assert.equal(clock.live.silent, false);
});

test('random lives: silence is said once before speech, and never of one that answers PINGs', () => {
  const step = fc.oneof(
    fc.record({
      does: fc.constant('run' as const),
      ms: fc.integer({ min: 250, max: 60_000 }),
      alive: fc.boolean(),
    }),
    fc.record({ does: fc.constantFrom('begin' as const, 'answer' as const, 'end' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, mortal) => {
      const clock = new Clock();
      for (const each of steps) {
        if (each.does === 'run') clock.run(each.ms, PATIENCE, each.alive || !mortal);
        else if (each.does === 'begin') clock.begin();
        else if (each.does === 'answer') clock.answer();
        else if (clock.calls > 0) clock.calls--;
      }
      let silent = false;
      for (const verdict of clock.verdicts()) {
        if (verdict === 'silent') assert.ok(mortal && !silent);
        if (verdict === 'spoke') assert.ok(silent);
        if (verdict === 'silent') silent = true;
        if (verdict === 'spoke') silent = false;
      }
    }),
    seeded(),
  );
});

test('the p99 of the minute before, within a bucket of the true one', () => {
  const latency = fc.double({ min: 0.01, max: 500_000, noNaN: true });
  fc.assert(
    fc.property(fc.array(latency, { minLength: 1, maxLength: 400 }), all => {
      const latencies = new Latencies();
      for (const ms of all) latencies.add(ms, 1_000);
      const sorted = all.toSorted((a, b) => b - a);
      const exact = Math.max(1, sorted[Math.floor(all.length / 100)] as number);
      const told = latencies.p99(1_001);
      assert.ok(told >= exact * 0.999 && told <= exact * 1.1, `${told} for ${exact}`);
    }),
    seeded(),
  );
});

test('what is older than a minute counts no more', () => {
  const latencies = new Latencies();
  assert.equal(latencies.p99(0), 0);
  latencies.add(5_000, 0);
  latencies.add(10, 40_000);
  assert.ok(latencies.p99(50_000) >= 5_000);
  assert.ok(latencies.p99(75_000) < 12);
  assert.equal(latencies.p99(1_000_000), 0);
});

test('a backend that falls silent gets no more calls, and is back when it speaks', {
  timeout: 20_000,
}, async t => {
  const held: Arrival[] = [];
  let frozen = true;
  const silent = await upstreamFor(t, {
    acknowledges: false,
    onStream: arrival => (frozen ? void held.push(arrival) : answerOk(arrival)),
  });
  const rig = await startRig(t, [silent.address]);
  const caller = await rig.caller();
  const stream = caller.open();
  await until(() => held.length === 1);
  const { registry } = rig.mesh;
  await until(() => registry.get('a')?.state === 'EJECTED', 'ejected', 6_000);
  assert.match(registry.get('a')?.cause ?? '', /the proxy: has been silent for [23]\.\d s/);
  const refused = await caller.call();
  assert.equal(refused.grpcStatus, Status.UNAVAILABLE);
  assert.equal(silent.counts.streams, 1);
  // The call that it has goes on.
  assert.equal(caller.answer(stream).ended, false);
  frozen = false;
  const [{ peer }] = held as [Arrival];
  const asked = peer.frames.find(({ type, flags }) => type === Type.PING && (flags & Flag.ACK) === 0);
  peer.send(ping(asked?.payload, Flag.ACK));
  await until(() => registry.get('a')?.state !== 'EJECTED', 'back');
  assert.equal((await caller.call()).grpcStatus, Status.OK);
  caller.send(reset(stream, Code.CANCEL));
});
