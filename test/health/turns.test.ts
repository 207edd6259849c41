/** Which servers get the checks that may be under way at once, where many do not answer. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Detector } from '../../src/core/detector.ts';
import { HEALTH_LIMITS } from '../../src/core/limits.ts';
import { OUTLIER_DEFAULTS } from '../../src/core/outlier.ts';
import { Health } from '../../src/health/health.ts';
import { Rig, spec } from '../core/rig.ts';

test('servers that time out, as many as may be checked at once, do not keep the others from their turn', async t => {
  const sockets = new Set<Socket>();
  const silent = createServer(socket => sockets.add(socket.on('error', () => {})));
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const rig = new Rig();
  const count = HEALTH_LIMITS.checksAtOnce + 20;
  for (let n = 0; n < count; n++) rig.addWarm(spec(`s${n}`));
  const rules = {
    check: 'grpc',
    intervalMs: 500,
    fastIntervalMs: 500,
    jitter: 0,
    timeoutMs: 500,
    unhealthyAfter: 1,
    healthyAfter: 1,
    service: '',
    orca: false,
    orcaIntervalMs: 1_000,
  } as const;
  const { mesh } = rig;
  const detector = new Detector({
    mesh,
    rulesOf: () => ({ outliers: OUTLIER_DEFAULTS, panicBelow: 0.5 }),
    suspicionMs: 5_000,
    random: () => 0.5,
  });
  const health = new Health({
    mesh,
    detector,
    rulesOf: () => rules,
    parseAddress: () => ({ host: '127.0.0.1', port }),
    random: () => 0.5,
    onError: error => assert.fail(String(error)),
  });
  t.after(() => {
    health.stop();
    detector.stop();
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  for (let n = 0; n < 20; n++) {
    rig.now += 100;
    health.look(rig.now);
    assert.ok(health.gauges().checking <= HEALTH_LIMITS.checksAtOnce);
    await setImmediate();
  }
  const out = [...mesh.registry.list()].filter(({ state }) => state === 'EJECTED').length;
  assert.equal(out, count);
});
