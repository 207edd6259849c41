/** Who observes calls is told their life in order, and finds the facts in the call. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Call, type CallObserver, EndedBy } from '../../src/proxy/proxy.ts';
import { request } from '../support/h2/caller.ts';
import { encode } from '../support/h2/hpack.ts';
import { Status } from '../support/h2/status.ts';
import { type Arrival, answerOk, OK, okFrames, RESPONSE } from '../support/h2/upstream.ts';
import { Code, data, Flag, goaway, headers, message, reset } from '../support/h2/wire.ts';
import { startRig, until, upstreamFor } from './rig.ts';

/** Without addresses. */
const plain = (text: string): string => text.replace(/ \(127.*?\)/, '');

/** Writes down what it is told, and what stands in the call at its end. */
class Notes implements CallObserver {
  readonly said: string[] = [];
  forwards: string | undefined;

  began(call: Call, list: { readonly count: number }): void {
    this.said.push(`began ${call.path} ${call.pool?.service ?? 'nowhere'} ${list.count > 4}`);
  }

  attemptBegan(call: Call): void {
    call.forwards = this.forwards;
    this.said.push(`at ${call.backend?.id}`);
  }

  waited(call: Call, ms: number): void {
    this.said.push(`waited ${ms > 0 && call.facts.waitedMs >= ms}`);
  }

  attemptEnded(call: Call, status: number, why: string): void {
    this.said.push(`left ${call.backend?.id} ${status} ${plain(why)}`.trim());
  }

  draining(_call: Call, what: string): void {
    this.said.push(`draining: ${plain(what)}`);
  }

  ended(call: Call, status: number, message: string): void {
    const { requestBytes, responseBytes, request, response, sends, endedBy, endedAt } = call.facts;
    const by = Object.keys(EndedBy)[endedBy];
    assert.ok(endedAt >= call.received);
    assert.equal(call.facts.status, status);
    this.said.push(
      `ended ${status} by ${by}, ${sends} sends, ${request.messages}/${requestBytes} up, ${response.messages}/${responseBytes} down ${plain(message)}`.trim(),
    );
  }
}

async function observed(t: TestContext, onStream: (arrival: Arrival) => void, pools: object[] = []) {
  const upstream = await upstreamFor(t, { onStream });
  const rig = await startRig(t, [upstream.address], { pools });
  const notes = new Notes();
  const stop = rig.proxy.observe(notes);
  return { rig, notes, stop, said: notes.said, caller: await rig.caller() };
}

const BEGAN = 'began /test.v1.Test/Call * true';

test('a unary call: began, its wait for the first connection, the attempt, the end; after that nobody is told', async t => {
  const { caller, said, stop } = await observed(t, answerOk);
  await caller.call();
  const [began, at, waited, left, ended] = said.splice(0);
  assert.deepEqual([began, at, waited, left], [BEGAN, 'at a', 'waited true', 'left a 0']);
  assert.equal(ended, 'ended 0 by BACKEND, 1 sends, 1/8 up, 1/11 down');
  await caller.call();
  assert.deepEqual(said.splice(0), [BEGAN, 'at a', 'left a 0', ended]);
  stop();
  await caller.call();
  assert.deepEqual(said, []);
});

test('attempts by policy and by move are told one by one, each with what ended it', async t => {
  let nth = 0;
  const { caller, said } = await observed(
    t,
    arrival => {
      const { peer, stream } = arrival;
      nth++;
      if (nth === 1) peer.send(reset(stream, Code.REFUSED_STREAM));
      else if (nth === 2) peer.sendHeaders(stream, [...RESPONSE, ['grpc-status', '14']], Flag.END_STREAM);
      else answerOk(arrival);
    },
    [{ service: '*', retry: { codes: ['UNAVAILABLE'], budget: 1 } }],
  );
  await caller.call();
  assert.deepEqual(
    said.filter(each => !each.startsWith('waited')),
    [
      BEGAN,
      'at a',
      'left a 14 reset the call (REFUSED_STREAM)',
      'at a',
      'left a 14 answered UNAVAILABLE',
      'at a',
      'left a 0',
      'ended 0 by BACKEND, 3 sends, 1/8 up, 1/11 down',
    ],
  );
});

test('messages of a stream are counted as they go by', async t => {
  const arrived: Arrival[] = [];
  const { caller, rig, said } = await observed(t, arrival => void arrived.push(arrival));
  const stream = caller.open();
  caller.send(data(stream, Buffer.concat([message(Buffer.from('one')), message(Buffer.from('two'))])));
  await until(() => arrived.length === 1);
  const [{ peer, stream: there }] = arrived as [Arrival];
  peer.send(headers(there, encode(RESPONSE)), data(there, message(Buffer.from('hello'))));
  const now = (): unknown[] => {
    const all: unknown[] = [];
    rig.proxy.eachCall(({ facts: { request, response, requestBytes } }) =>
      all.push([request.messages, requestBytes, response.messages]),
    );
    return all;
  };
  await until(() => JSON.stringify(now()) === '[[2,16,1]]');
  caller.send(data(stream, Buffer.alloc(0), Flag.END_STREAM));
  peer.send(headers(there, encode(OK), Flag.END_HEADERS | Flag.END_STREAM));
  await caller.outcome(stream);
  assert.equal(said.at(-1), 'ended 0 by BACKEND, 1 sends, 2/16 up, 1/10 down');
});

test('ends that are not the backend’s say whose they are', async t => {
  const arrived: Arrival[] = [];
  const { caller, said } = await observed(t, arrival => void arrived.push(arrival));
  const late = await caller.call(request('/test.v1.Test/Call', [['grpc-timeout', '20m']]));
  assert.equal(late.grpcStatus, Status.DEADLINE_EXCEEDED);
  assert.deepEqual(said.splice(0).slice(-2), [
    'left a 4 the deadline of 20 ms is over at backend a',
    'ended 4 by PROXY, 1 sends, 1/8 up, 0/0 down the deadline of 20 ms is over at backend a',
  ]);
  const stream = caller.open();
  await until(() => arrived.length === 2);
  caller.send(reset(stream, Code.CANCEL));
  await until(() => said.length === 4);
  assert.deepEqual(said.splice(0).slice(-2), [
    'left a 1 was left by the caller',
    'ended 1 by CALLER, 1 sends, 0/0 up, 0/0 down the caller gave it up',
  ]);
  await caller.call(request('/test.v1.Test/Call', [['grpc-timeout', 'soon']]));
  assert.deepEqual(said.splice(0), [
    BEGAN,
    "ended 13 by PROXY, 0 sends, 0/0 up, 0/0 down grpc-timeout 'soon' is malformed",
  ]);
});

test('calls that are open are told whose way ends', async t => {
  const arrived: Arrival[] = [];
  const { caller, said, rig } = await observed(t, arrival => void arrived.push(arrival));
  const outcome = caller.call();
  await until(() => arrived.length === 1);
  const [{ peer, stream }] = arrived as [Arrival];
  peer.send(goaway(stream, Code.NO_ERROR));
  await until(() => said.at(-1) === 'draining: backend a is leaving (GOAWAY)');
  const closed = rig.close();
  await until(() => said.at(-1) === 'draining: the proxy is shutting down');
  peer.send(...okFrames(stream));
  assert.equal((await outcome).grpcStatus, Status.OK);
  await closed;
});

test('what an observer has the call forward takes the place of the caller’s traceparent', async t => {
  const got: (readonly [string, string])[][] = [];
  const { caller, notes } = await observed(t, arrival => {
    got.push(arrival.fields.filter(([name]) => name.startsWith('trace') || name === 'baggage'));
    answerOk(arrival);
  });
  const from = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`;
  const to = `00-${'1'.repeat(32)}-${'3'.repeat(16)}-01`;
  const sent = [
    ['traceparent', from],
    ['tracestate', 'a=b'],
    ['baggage', 'c=d'],
  ] as const;
  for (const forwards of [undefined, to, undefined, to]) {
    notes.forwards = forwards;
    await caller.call(request('/test.v1.Test/Call', sent));
    assert.deepEqual(Object.fromEntries(got.pop() ?? []), {
      traceparent: forwards ?? from,
      tracestate: 'a=b',
      baggage: 'c=d',
    });
  }
  await caller.call();
  assert.deepEqual(got.pop(), [['traceparent', to]]);
  notes.forwards = undefined;
  await caller.call();
  assert.deepEqual(got.pop(), []);
});
