/** The access log, by calls through a real proxy. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AccessLog, type AccessLogSettings } from '../../../src/telemetry/telemetry.ts';
import { type Rig, startRig, until, upstreamFor } from '../../proxy/rig.ts';
import { request } from '../../support/h2/caller.ts';
import { encode } from '../../support/h2/hpack.ts';
import { type Arrival, answerOk, OK, RESPONSE } from '../../support/h2/upstream.ts';
import { data, Flag, headers, message } from '../../support/h2/wire.ts';

type Line = readonly [level: string, text: string, fields: Record<string, unknown>, same?: string];

const NONE: AccessLogSettings = {
  sampleRatio: 0,
  errors: false,
  slowerThanMs: Number.POSITIVE_INFINITY,
  streamIntervalMs: 60_000,
  metadata: [],
};

async function logged(
  t: TestContext,
  settings: Partial<AccessLogSettings>,
  onStream: (arrival: Arrival) => void,
) {
  const upstream = await upstreamFor(t, { onStream });
  const rig: Rig = await startRig(t, [upstream.address]);
  const lines: Line[] = [];
  const write =
    (level: string) =>
    (text: string, fields = {}, same?: string): void =>
      void lines.push(same === undefined ? [level, text, fields] : [level, text, fields, same]);
  const clock = { now: performance.now() };
  const log = new AccessLog({
    logger: {
      level: 'info',
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      setLevel() {},
    },
    settings: { ...NONE, ...settings },
    random: () => 0.3,
    now: () => clock.now,
    traceOf: () => undefined,
  });
  rig.proxy.observe(log);
  return { rig, lines, log, clock, caller: await rig.caller() };
}

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const ASK = request('/a.B/C', [
  ['traceparent', `00-${TRACE}-00f067aa0ba902b7-00`],
  ['authorization', 'Bearer secret'],
  ['x-tenant', 'blue'],
]);

test('calls that failed have a line, on warn, with the trace of the caller and no metadata', async t => {
  let status = '0';
  const { caller, lines } = await logged(t, { errors: true }, ({ peer, stream }) =>
    peer.sendHeaders(stream, [...RESPONSE, ['grpc-status', status]], Flag.END_STREAM),
  );
  await caller.call(ASK);
  status = '5';
  await caller.call(ASK);
  assert.equal(lines.length, 0, 'that the application found nothing is no failure');
  status = '13';
  await caller.call(ASK);
  const [level, text, fields, same] = lines[0] as Line;
  assert.deepEqual([level, text, same], ['warn', 'call a.B/C: INTERNAL', 'call a.B/C: INTERNAL a']);
  const { duration_ms, caller: from, ...rest } = fields;
  assert.ok(Number(duration_ms) > 0 && String(from).startsWith('127.0.0.1:'));
  assert.deepEqual(rest, {
    method: 'a.B/C',
    pool: '*',
    backend: 'a',
    request_messages: 1,
    request_bytes: 8,
    response_messages: 0,
    response_bytes: 0,
    trace_id: TRACE,
    status: 'INTERNAL',
    ended_by: 'backend',
  });
  assert.doesNotMatch(JSON.stringify(lines), /secret|blue/);
});

test('a share of the others, by the dice; metadata that is named; slow calls', async t => {
  const { caller, lines, log } = await logged(
    t,
    { sampleRatio: 0.31, metadata: ['x-tenant', 'x-none'] },
    answerOk,
  );
  await caller.call(ASK);
  assert.deepEqual(
    lines.map(([level, text, fields]) => [level, text, fields.metadata]),
    [['info', 'call a.B/C: OK', { 'x-tenant': 'blue' }]],
  );
  log.configure({ ...NONE, sampleRatio: 0.3 });
  await caller.call(ASK);
  assert.equal(lines.length, 1);
  log.configure({ ...NONE, slowerThanMs: 0 });
  await caller.call(ASK);
  assert.equal(lines.length, 2);
  assert.doesNotMatch(JSON.stringify(lines), /secret/);
});

test('a stream has a line when it stays open, each interval, and at its end', async t => {
  const arrived: Arrival[] = [];
  const { caller, rig, lines, log, clock } = await logged(
    t,
    { sampleRatio: 1, streamIntervalMs: 5_000 },
    arrival => void arrived.push(arrival),
  );
  const stream = caller.open(ASK);
  caller.send(data(stream, message(Buffer.from('one'))));
  await until(() => arrived.length === 1);
  const tick = (ms: number): void => {
    clock.now += ms;
    log.tick(visit => rig.proxy.eachCall(visit));
  };
  tick(1_000);
  tick(1_000);
  const [{ peer, stream: there }] = arrived as [Arrival];
  peer.send(headers(there, encode(RESPONSE)), data(there, message(Buffer.from('hello'))));
  await until(() => caller.answer(stream).data.length > 0);
  tick(4_000);
  peer.send(headers(there, encode(OK), Flag.END_HEADERS | Flag.END_STREAM));
  caller.send(data(stream, Buffer.alloc(0), Flag.END_STREAM));
  await caller.outcome(stream);
  assert.deepEqual(
    lines.map(([, text, fields]) => [text, fields.request_messages, fields.response_messages]),
    [
      ['stream a.B/C is open', 1, 0],
      ['stream a.B/C goes on', 1, 1],
      ['stream a.B/C: OK', 1, 1],
    ],
  );
});
