/** What `heapmesh diagnose` finds of the log on a real broker: nothing where all is well, and each way in which it is not. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Kafka, startKafka } from '../../scripts/lib/kafka.ts';
import { claim } from '../core/registry-support.ts';
import { until } from '../instances/fleet.ts';
import { assertFound, startFindings } from '../telemetry/findings/rig.ts';
import { folder, member, removeFolders } from './support.ts';

let kafka: Kafka;
before(async () => {
  kafka = await startKafka();
});
after(async () => {
  await kafka?.stop();
  removeFolders();
});

test('a healthy log is no finding; a broker that hangs is, and another process of the same id', {
  timeout: 120_000,
}, async t => {
  const { brokers } = kafka;
  const state = { log: 'kafka', brokers, directory: folder() };
  const rig = await startFindings(t, [], { instance: { id: 'lb-1' }, state });
  const { registry } = rig.mesh;
  const status = () => rig.log.status().state;

  // With changes of its own and of others, and longer than it may take no answer.
  const other = await member('lb-2', { brokers });
  t.after(() => other.close());
  let n = 0;
  await rig.steps(75, 40, async () => {
    if (n % 3 === 0) await registry.propose(claim(`a${n}`), 'registered');
    else if (n % 3 === 1) await other.registry.propose(claim(`b${n}`), 'registered');
    n++;
  });
  assert.equal(status(), 'healthy');
  assert.deepEqual(await rig.found('state-log'), []);
  assert.deepEqual(rig.faults, []);

  kafka.nodes[0]?.freeze();
  registry.propose(claim('waits'), 'registered').catch(() => {});
  await until('it is behind', () => status() === 'behind');
  await rig.steps(3);
  assertFound(await rig.found('state-log'), {
    key: '',
    severity: 'warning',
    detail: /^The log is behind.*: .* does not answer.*1 change waits in the local file/,
    advice: /brokers of `state\.brokers`/,
  });

  kafka.nodes[0]?.thaw();
  await until('it has caught up', () => status() === 'healthy' && rig.log.status().pending === 0);
  await rig.steps(3);
  assert.deepEqual(await rig.found('state-log'), [], 'over, and no finding any more');

  const second = await member('lb-1', { brokers });
  t.after(() => second.close());
  await second.registry.propose(claim('c'), 'registered');
  await until('it knows', () => status() === 'read-only');
  await rig.steps(3);
  assertFound(await rig.found('state-log'), {
    key: '',
    severity: 'critical',
    detail: /^Changes of servers are not kept.*another process runs as lb-1/,
    advice: /once nobody else runs under its id/,
  });
  rig.faults.length = 0;
});
