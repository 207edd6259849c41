/** Findings of connections and of the balancer itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until, upstreamFor } from '../../proxy/rig.ts';
import { request } from '../../support/h2/caller.ts';
import { encode } from '../../support/h2/hpack.ts';
import { type Arrival, answerOk, RESPONSE } from '../../support/h2/upstream.ts';
import { Code, data, headers, reset } from '../../support/h2/wire.ts';
import { assertFound, POOL, startFindings } from './rig.ts';

const on = (address: string) => ({ address, services: [POOL] });

test('stream-limit: every connection is full, and calls wait', async t => {
  const held: Arrival[] = [];
  const upstream = await upstreamFor(t, { settings: [[3, 1]], onStream: arrival => void held.push(arrival) });
  const rig = await startFindings(t, [on(upstream.address)]);
  const caller = await rig.caller();
  const calls = Array.from({ length: 4 }, () => caller.call());
  await until(() => held.length === 4);
  await rig.steps(4);
  assert.deepEqual(await rig.found('stream-limit'), []);
  // More than 16 connections with a stream each have room for.
  calls.push(...Array.from({ length: 20 }, () => caller.call()));
  await until(() => held.length === 16);
  rig.afresh();
  await rig.steps(4);
  assertFound(await rig.found('stream-limit'), {
    key: 'a',
    severity: 'critical',
    detail:
      /^8 calls wait for a stream at a: its 16 connections have 16 calls in flight, and it allows no more\./,
    advice: /SETTINGS_MAX_CONCURRENT_STREAMS/,
  });
  while (held.length > 0 || rig.proxy.gauges().calls > 0) {
    for (const arrival of held.splice(0)) answerOk(arrival);
    await sleep(5);
  }
  await Promise.all(calls);
});

test('flow-control: a backend that does not read, and a caller that does not', async t => {
  const arrivals: Arrival[] = [];
  const onStream = (arrival: Arrival): void => void arrivals.push(arrival);
  const upstream = await upstreamFor(t, { credits: false, onStream });
  const rig = await startFindings(t, [on(upstream.address)]);
  const caller = await rig.caller({ credits: false });
  const send = (bytes: number): number => {
    const stream = caller.open();
    for (let at = 0; at < bytes; at += 16_000)
      caller.send(data(stream, Buffer.alloc(Math.min(16_000, bytes - at))));
    return stream;
  };
  const streams = [send(30_000)];
  await until(() => arrivals.length === 1);
  await rig.steps(4);
  assert.deepEqual(await rig.found('flow-control'), []);
  // The window of a connection is 65,535 octets, and these share it.
  streams.push(send(30_000), send(30_000));
  await until(() => arrivals.length === 3);
  await until(() => stalled(rig));
  rig.afresh();
  await rig.steps(4);
  assertFound(await rig.found('flow-control'), {
    key: 'a',
    severity: 'warning',
    detail: /^a does not read what it is sent: on 1 of its 1 connections all calls wait/,
    advice: /window for a connection/,
  });
  for (const stream of streams) caller.send(reset(stream, Code.CANCEL));

  const answered = [caller.open(request()), caller.open(request())];
  await until(() => arrivals.length === 5);
  for (const { peer, stream } of arrivals.slice(3)) {
    peer.send(headers(stream, encode(RESPONSE)));
    for (let n = 0; n < 3; n++) peer.send(data(stream, Buffer.alloc(16_000)));
  }
  await until(() => rig.proxy.gauges().stalled === 1);
  rig.afresh();
  await rig.steps(4);
  const found = (await rig.found('flow-control')).filter(({ scope }) => scope === 'instance');
  assertFound(found, {
    key: '',
    severity: 'warning',
    detail: /^On 1 of 1 connections callers do not read what they are answered/,
    advice: /larger window/,
  });
  for (const stream of answered) caller.send(reset(stream, Code.CANCEL));
});

function stalled(rig: Awaited<ReturnType<typeof startFindings>>): boolean {
  const gauges = { connections: 0, streams: 0, full: 0, stalled: 0, waiting: 0 };
  rig.proxy.gaugeBackend(rig.mesh.slotOf('a'), gauges);
  return gauges.stalled === 1;
}

test('balancer-busy: its event loop is at work all the time', async t => {
  const rig = await startFindings(t, []);
  await rig.steps(5, 60);
  assert.deepEqual(await rig.found('balancer-busy'), []);
  rig.afresh();
  await rig.steps(5, 1, () => {
    for (const end = performance.now() + 300; performance.now() < end; );
  });
  assertFound(await rig.found('balancer-busy'), {
    key: '',
    severity: 'critical',
    detail: /^This balancer is at work (9\d|100) % of the time .* it is the bottleneck/,
    advice: /Add an instance/,
  });
});

test('exporter-dropping: spans that nobody takes', async t => {
  process.env.OTEL_BSP_MAX_QUEUE_SIZE = '4';
  process.env.OTEL_BSP_MAX_EXPORT_BATCH_SIZE = '2';
  t.after(() => {
    delete process.env.OTEL_BSP_MAX_QUEUE_SIZE;
    delete process.env.OTEL_BSP_MAX_EXPORT_BATCH_SIZE;
  });
  const upstream = await upstreamFor(t);
  const traces = { endpoint: 'http://127.0.0.1:9', sampleRatio: 1 };
  const rig = await startFindings(t, [on(upstream.address)], { telemetry: { traces } });
  const caller = await rig.caller();
  await rig.steps(3);
  assert.deepEqual(await rig.found('exporter-dropping'), []);
  await rig.steps(4, 40, () => Promise.all(Array.from({ length: 20 }, () => caller.call())));
  assertFound(await rig.found('exporter-dropping'), {
    key: '',
    severity: 'warning',
    detail: /spans were dropped in \d+ s, .* a second: the collector does not take them/,
    advice: /telemetry\.traces\.endpoint/,
  });
});
