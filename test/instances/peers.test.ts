/**
 * Several instances without a shared log, as real processes: each polls its peers, backends report to all,
 * callers go on where one is killed, leaves or comes back, and an operator's command reaches all.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { command } from '../cli/process.ts';
import { freePort } from '../support/program.ts';
import {
  type Backend,
  Callers,
  Ending,
  type Instance,
  Pickers,
  SERVICE,
  startBackend,
  startInstance,
  until,
} from './fleet.ts';

const ending = new Ending();
after(() => ending.all());

async function json(control: string, ...args: string[]) {
  const ran = await command([...args, '--control', control, '-o', 'json']);
  assert.equal(ran.code, 0, ran.stderr);
  return JSON.parse(ran.stdout);
}

const states = async (control: string): Promise<Record<string, string>> => {
  const { servers } = await json(control, 'servers');
  return Object.fromEntries(servers.map((one: { id: string; state: string }) => [one.id, one.state]));
};

test('three peers: one is killed, one comes back, one leaves; a command reaches all', {
  timeout: 240_000,
}, async () => {
  const controls = await Promise.all([0, 1, 2].map(async () => `127.0.0.1:${await freePort()}`));
  const start = async (i: number, proxy?: string): Promise<Instance> => {
    const config = `instance: { id: lb-${i + 1}, peers: [${controls.map(one => `'${one}'`).join(', ')}] }`;
    const options = { control: controls[i] as string, ...(proxy === undefined ? {} : { proxy }) };
    return ending.add(await startInstance(`lb-${i + 1}`, config, options), one => one.stop());
  };
  const [a, b, c] = (await Promise.all([0, 1, 2].map(i => start(i)))) as [Instance, Instance, Instance];

  // Each backend names one instance, and learns of the others from it.
  const backends: Backend[] = [];
  for (const id of ['x', 'y', 'z'])
    backends.push(ending.add(await startBackend(id, [a.control]), one => one.stop()));
  const knowsAll = (instance: Instance) => async () => (await instance.ready()).detail.servers === 3;
  for (const one of [a, b, c]) await until(`${one.id} knows the backends`, knowsAll(one));

  const instancesOf = async (one: Instance): Promise<{ id: string; alive: boolean }[]> =>
    (await json(one.control, 'instances')).instances;
  await until('they know of each other', async () => {
    const alive = (await instancesOf(b)).filter(one => one.alive).map(one => one.id);
    return alive.sort().join() === 'lb-1,lb-2,lb-3';
  });
  const listed = await json(b.control, 'instances');
  assert.equal(listed.sharedLog, false);
  assert.equal(listed.instances[0].id, 'lb-2', 'the one that is asked is the first');

  // Callers: own heaps that were told of one balancer alone, picks, and the three proxies.
  const heaps = ending.add(new Callers(`heapmesh://${c.control}/${SERVICE}`), one => one.stop());
  const picks = ending.add(new Pickers([c.control, a.control, b.control]), one => one.stop());
  const proxies = [a, b, c].map(one => one.proxy.replace('127.0.0.1', 'ipv4:127.0.0.1')).join(',');
  const options = {
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    // What every gRPC channel does by default: a call that no server has seen is sent again (see refusal.test.ts). A
    // call that was in flight is not.
    'grpc.enable_retries': 1,
  };
  const proxied = ending.add(new Callers(proxies.replaceAll(',ipv4:', ','), 6, options), one => one.stop());
  await until('all callers have called', () => heaps.calls > 50 && picks.picks > 50 && proxied.calls > 50);

  // The command is said to one.
  const drained = await command(['drain', 'x', '--control', b.control]);
  assert.equal(drained.code, 0, drained.stderr);
  for (const one of [a, b, c]) assert.equal((await states(one.control)).x, 'DRAINING', one.id);
  const undrained = await command(['servers', 'undrain', 'x', '--control', c.control]);
  assert.equal(undrained.code, 0, undrained.stderr);
  for (const one of [a, b, c]) assert.notEqual((await states(one.control)).x, 'DRAINING', one.id);

  // Killed.
  const before = { heaps: heaps.calls, picks: picks.picks, proxied: proxied.calls };
  const lanes = 6;
  await c.kill();
  await until(
    'callers go on',
    () =>
      heaps.calls > before.heaps + 100 &&
      picks.picks > before.picks + 100 &&
      proxied.calls > before.proxied + 100,
  );
  assert.deepEqual(picks.failures, [], 'no pick fails');
  assert.deepEqual(heaps.failures, [], 'no call of an own heap fails');
  assert.ok(proxied.failures.length <= lanes, `${proxied.failures.length} failed`);
  for (const { peer, error } of proxied.failures) assert.equal(peer, c.proxy, error.message);
  await until('the others take note', async () =>
    (await json(a.control, 'instances')).instances.some(
      (one: { id: string; alive: boolean }) => one.id === 'lb-3' && !one.alive,
    ),
  );
  const partial = await command(['servers', 'weight', 'x', '2', '--control', a.control]);
  assert.equal(partial.code, 1, 'one that cannot be told is no success');
  assert.match(partial.stderr, /not done on lb-3 \(127\.0\.0\.1:\d+\)/);
  assert.match(partial.stdout, /^x has weight 2: /);

  // Back at its addresses: it takes calls when the servers of its peers have come, which are told of it and do not wait
  // for their back-off.
  const failedBefore = proxied.failures.length;
  const beforeJoin = { heaps: heaps.calls, picks: picks.picks };
  const again = await start(2, c.proxy);
  assert.equal((await again.ready()).detail.servers, 3, 'ready with all servers');
  await until('the proxy is called', async () => {
    const page = await (await fetch(`http://${again.served.admin}/metrics`)).text();
    return Number(/^heapmesh_calls_total\{[^}]*\} (\d+)/m.exec(page)?.[1] ?? 0) > 50;
  });
  assert.ok(heaps.calls > beforeJoin.heaps && picks.picks > beforeJoin.picks);
  assert.deepEqual(picks.failures, [], 'no pick fails');
  assert.deepEqual(heaps.failures, [], 'no call of an own heap fails');
  assert.deepEqual(
    proxied.failures.slice(failedBefore).map(({ peer, error }) => `${peer}: ${error.message}`),
    [],
    'who joins takes no call that it cannot serve',
  );

  // Leaves.
  const beforeLeave = { heaps: heaps.calls, picks: picks.picks, proxied: proxied.calls };
  await b.stop();
  await until(
    'callers go on',
    () =>
      heaps.calls > beforeLeave.heaps + 100 &&
      picks.picks > beforeLeave.picks + 100 &&
      proxied.calls > beforeLeave.proxied + 100,
  );
  assert.deepEqual(picks.failures, [], 'no pick fails');
  assert.deepEqual(heaps.failures, [], 'no call of an own heap fails');
  assert.deepEqual(
    proxied.failures.slice(failedBefore).map(({ peer, error }) => `${peer}: ${error.message}`),
    [],
    'who leaves ends its calls before',
  );
});
