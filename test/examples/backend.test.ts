/** The examples of backends: they register, serve, report, and leave without a lost call. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, test } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { EchoRequest, EchoResponse } from '../../src/gen/echo/v1/echo.ts';
import { killChildren, run } from '../backend/support.ts';
import { pick, type Rig, rig } from '../control/rig.ts';
import { call } from '../control/support.ts';

afterEach(killChildren);

/** Picks and calls, one after the other, each new server on a connection of its own. */
async function callUntil(balancer: Rig, stopped: () => boolean, served: Map<string, number>): Promise<void> {
  const control = balancer.client();
  const clients = new Map<string, Client>();
  while (!stopped()) {
    const { server } = await pick(control);
    const address = server?.address ?? '';
    const client = clients.get(address) ?? new Client(address, credentials.createInsecure());
    clients.set(address, client);
    const request = { message: 'hello' };
    const path = '/echo.v1.EchoService/Echo';
    const { message, serverId } = await call(client, path, EchoRequest, EchoResponse, request);
    assert.equal(message, 'hello');
    const kind = serverId.split(' ')[0] ?? '';
    served.set(kind, (served.get(kind) ?? 0) + 1);
  }
  for (const client of clients.values()) client.close();
}

test('the examples serve, and end on SIGTERM without a lost call', { timeout: 30_000 }, async () => {
  await rig({ reportIntervalMs: 100 }, async balancer => {
    const files = ['backend-grpc-js.ts', 'backend-nice-grpc.ts', 'backend-plain.cjs'];
    const processes = files.map(file => run([`examples/${file}`], balancer.address));
    const servers = () => [...balancer.mesh.registry.list()];
    const failed = () => processes.find(({ child }) => child.exitCode !== null);
    await balancer.until(() => servers().length === 3 || failed() !== undefined);
    assert.equal(failed()?.output(), undefined);

    let stopped = false;
    const served = new Map<string, number>();
    const callers = Array.from({ length: 4 }, () => callUntil(balancer, () => stopped, served));
    const all = Promise.all(callers);
    // An error of a caller ends the waiting.
    const until = (what: () => boolean) => Promise.race([balancer.until(what), all]);
    await until(() => served.size === 3);
    for (const { child, output } of processes.slice(0, 2)) {
      child.kill('SIGTERM');
      const [code] = (await Promise.race([once(child, 'exit'), all])) as [number];
      assert.equal(code, 0, output());
    }
    const before = served.get('plain') ?? 0;
    await until(() => (served.get('plain') ?? 0) > before + 10);
    stopped = true;
    await all;
    assert.equal(servers().length, 1);
  });
});
