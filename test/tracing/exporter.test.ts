/** A collector that is gone, slow or full: calls do not notice, and what is lost is counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Rig, startRig, until, upstreamFor } from '../proxy/rig.ts';
import { answerOk } from '../support/h2/upstream.ts';
import { startJaeger } from '../support/jaeger.ts';
import { freePort } from '../support/program.ts';

Object.assign(process.env, {
  OTEL_BSP_SCHEDULE_DELAY: '20',
  OTEL_BSP_MAX_QUEUE_SIZE: '100',
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '20',
  OTEL_BSP_EXPORT_TIMEOUT: '400',
});

/** Makes calls, two spans each, all of which are served. */
async function calls(rig: Rig, count: number): Promise<void> {
  const caller = await rig.caller();
  const outcomes = await Promise.all(Array.from({ length: count }, () => caller.call()));
  assert.ok(outcomes.every(each => each.grpcStatus === 0));
}

const add = ({
  exported,
  dropped,
  failed,
  waiting,
}: ReturnType<NonNullable<Rig['tracing']>['counts']>): number => exported + dropped + failed + waiting;

test('nobody listens where spans go', async t => {
  const upstream = await upstreamFor(t, { onStream: answerOk });
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  for (const protocol of ['grpc', 'http/protobuf']) {
    const rig = await startRig(t, [upstream.address], {
      telemetry: { traces: { endpoint, protocol, sampleRatio: 1 } },
    });
    await calls(rig, 90);
    const counts = () => rig.tracing?.counts() ?? assert.fail();
    assert.ok(counts().dropped >= 180 - 100 - 20, 'the queue takes no more than it may');
    await until(() => counts().failed > 0, 'a batch has failed');
    const now = counts();
    assert.equal(now.exported, 0);
    assert.equal(now.recorded, 180);
    // A batch that is under way is neither.
    assert.ok(add(now) <= 180 && add(now) >= 160);
  }
});

test('a collector that hangs, and is back', async t => {
  const jaeger = await startJaeger();
  t.after(() => jaeger.stop());
  const upstream = await upstreamFor(t, { onStream: answerOk });
  const rig = await startRig(t, [upstream.address], {
    telemetry: { traces: { endpoint: jaeger.grpc, sampleRatio: 1 } },
  });
  const counts = () => rig.tracing?.counts() ?? assert.fail();
  await calls(rig, 10);
  await until(() => counts().exported === 20);
  jaeger.freeze();
  await calls(rig, 100);
  const { dropped } = counts();
  assert.ok(dropped > 0, 'it was full');
  await until(() => counts().failed > 0, 'a batch was given up');
  jaeger.thaw();
  await until(() => counts().waiting === 0, 'it takes spans again', 15_000);
  const { exported, recorded } = counts();
  assert.ok(exported > 20);
  assert.equal(recorded, 220);
});
