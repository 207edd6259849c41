/** The balancer embedded in another process, as the comment of src/index.ts shows it. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import {
  createLogger,
  LeaseKind,
  LogLink,
  loadConfig,
  MemoryLog,
  Mesh,
  Outcome,
  PickFailure,
  startBalancer,
} from 'heapmesh';

const SERVICE = 'echo.v1.EchoService';
const YAML = `
control: { listen: 127.0.0.1:0 }
admin: { listen: 127.0.0.1:0 }
servers:
  - { id: a, address: 127.0.0.1:50051, services: [${SERVICE}] }
`;

test('a whole balancer starts, picks and stops', async () => {
  const { config } = loadConfig(YAML, { file: 'heapmesh.yaml', hostname: 'here' });
  const output = new PassThrough().resume();
  const logger = createLogger({ level: 'info', instance: config.instance.id, output, colours: false });
  const balancer = await startBalancer(config, { logger });
  try {
    const { mesh } = balancer;
    assert.match(balancer.addresses.control, /^127\.0\.0\.1:\d+$/);
    const lease = mesh.pool(SERVICE)?.pick(mesh.now(), LeaseKind.RELAYED) ?? PickFailure.EMPTY;
    assert.ok(lease >= 0, `no lease: ${lease}`);
    assert.equal(mesh.idOf(mesh.leases.slotOf(lease)), 'a');
    assert.equal(mesh.leases.complete(lease, mesh.now(), Outcome.SUCCESS, 1), true);
    assert.equal(mesh.leases.complete(lease, mesh.now(), Outcome.SUCCESS, 1), false);
  } finally {
    await balancer.close();
  }
});

test('the core alone runs over a log, without a socket', async () => {
  const log = new MemoryLog();
  const link = new LogLink(log);
  let now = 0;
  const mesh = new Mesh({
    instanceId: 'embedded',
    epoch: 1,
    append: link.append,
    wallClock: () => 1_700_000_000_000 + now,
    clock: () => now,
    random: () => 0.5,
  });
  link.follow(mesh.registry);
  const spec = {
    id: 'a',
    address: '127.0.0.1:50051',
    services: [SERVICE],
    weight: 1,
    zone: '',
    labels: {},
    maxConcurrency: 1,
    standby: false,
  };
  const settled = await mesh.registry.propose({ kind: 'claim', source: 'operator', spec }, 'added by hand');
  assert.deepEqual({ position: settled.position, applied: settled.applied }, { position: 1, applied: true });
  const pool = mesh.pool(SERVICE);
  assert.ok(pool !== undefined);
  assert.ok(pool.pick(now, LeaseKind.RELAYED) >= 0);
  assert.equal(pool.pick(now, LeaseKind.RELAYED), PickFailure.ALL_FULL);
  now += 50;
  mesh.tick(now);
  assert.equal(mesh.pool('unknown.v1.Service'), undefined);
  link.stop();
  await log.close();
});
