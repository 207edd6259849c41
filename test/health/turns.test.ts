/** Which servers get the checks that may be under way at once, where many do not answer. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Detector } from '../../src/core/detector.ts';
import { HEALTH_LIMITS } from '../../src/core/limits.ts';
import { OUTLIER_DEFAULTS } from '../../src/core/outlier.ts';
import { Health } from '../../src/health/health.ts';
import { Rig, spec } from '../core/rig.ts';
import { generator } from '../support/seed.ts';

/** All servers are checked at the same port. @param random is asked once for each check that begins */
function healthOf(rig: Rig, port: number, random = (): number => 0.5, check: 'grpc' | 'tcp' = 'grpc') {
  const rules = {
    check,
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
  const detector = new Detector({
    mesh: rig.mesh,
    rulesOf: () => ({ outliers: OUTLIER_DEFAULTS, panicBelow: 0.5 }),
    suspicionMs: 5_000,
    random: () => 0.5,
  });
  const health = new Health({
    mesh: rig.mesh,
    detector,
    rulesOf: () => rules,
    parseAddress: () => ({ host: '127.0.0.1', port }),
    random,
    onError: error => assert.fail(String(error)),
  });
  return { health, detector };
}

test('servers that time out, as many as may be checked at once, do not keep the others from their turn', async t => {
  const sockets = new Set<Socket>();
  const silent = createServer(socket => sockets.add(socket.on('error', () => {})));
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const rig = new Rig();
  const count = HEALTH_LIMITS.checksAtOnce + 20;
  for (let n = 0; n < count; n++) rig.addWarm(spec(`s${n}`));
  const { health, detector } = healthOf(rig, port);
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
    // Checks that are due begin some at a time; in the 100 ms between two looks the event loop turns often enough.
    const turns = HEALTH_LIMITS.checksAtOnce / HEALTH_LIMITS.beginsAtOnce + 1;
    for (let turn = 0; turn < turns; turn++) await setImmediate();
  }
  const out = rig.mesh.registry.list().filter(({ state }) => state === 'EJECTED').length;
  assert.equal(out, count);
});

test('checks that are due together begin some at a time', async t => {
  const sockets = new Set<Socket>();
  const silent = createServer(socket => sockets.add(socket.on('error', () => {})));
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
  const rig = new Rig();
  const { beginsAtOnce } = HEALTH_LIMITS;
  for (let n = 0; n < 3 * beginsAtOnce; n++) rig.addWarm(spec(`s${n}`));
  let asked = 0;
  const { health, detector } = healthOf(rig, (silent.address() as AddressInfo).port, () => {
    asked++;
    return 0.5;
  });
  t.after(() => {
    health.stop();
    detector.stop();
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  asked = 0;
  rig.now += 500;
  health.look(rig.now);
  assert.equal(asked, beginsAtOnce);
  await setImmediate();
  assert.ok(asked <= 2 * beginsAtOnce);
  for (let turn = 0; turn < 3; turn++) await setImmediate();
  assert.equal(asked, 3 * beginsAtOnce);
});

test('whoever comes and leaves meanwhile, all that are there are checked each interval, and nobody else', async t => {
  const sockets = new Set<Socket>();
  const accepting = createServer(socket => sockets.add(socket.on('error', () => {})));
  await new Promise<void>(resolve => accepting.listen(0, '127.0.0.1', resolve));
  const rig = new Rig();
  const random = generator();
  const { health, detector } = healthOf(rig, (accepting.address() as AddressInfo).port, random, 'tcp');
  t.after(() => {
    health.stop();
    detector.stop();
    for (const socket of sockets) socket.destroy();
    accepting.close();
  });
  const checked = new Set<string>();
  detector.passedChecks = id => checked.add(id);
  const here = new Set<string>();
  for (let round = 0; round < 20; round++) {
    for (let n = 0; n < 8; n++) {
      const id = `s${Math.floor(random() * 40)}`;
      if (here.delete(id)) {
        rig.mesh.registry.propose({ kind: 'unclaim', source: 'config', id, how: 'left' }, 'test');
      } else {
        here.add(id);
        rig.addWarm(spec(id));
      }
    }
    checked.clear();
    // An interval and a little, as the jitter is 0 and a new one begins within the interval.
    for (let look = 0; look < 7; look++) {
      rig.now += 100;
      health.look(rig.now);
      for (let ms = 0; ms < 1_000 && health.counters.dead === 0; ms++) {
        health.look(rig.now);
        if (health.gauges().checking === 0) break;
        await sleep(1);
      }
    }
    assert.deepEqual([...checked].sort(), [...here].sort(), `round ${round}`);
  }
  assert.equal(health.counters.dead, 0);
});
