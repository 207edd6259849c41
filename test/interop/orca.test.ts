/** Load of a server that knows nothing of us: grpc-go's interop server, by OpenRcaService, which we ask. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { toolPath } from '../../scripts/tools/install.ts';
import { type Client, clientOf, TestService } from '../conformance/interop/service.ts';
import { startRig, until } from '../proxy/rig.ts';
import { freePort, startListening } from '../support/program.ts';

interface Report {
  readonly cpu_utilization: number;
  readonly memory_utilization: number;
}

/** Has the server tell this load from now on; the stream holds it. */
function tell(client: Client, report: Report): { end(): void } {
  const open = client.FullDuplexCall as unknown as () => {
    write(request: unknown): void;
    end(): void;
    on(event: string, listener: () => void): void;
  };
  const stream = open.call(client);
  stream.on('data', () => {});
  stream.on('error', () => {});
  stream.write({ orca_oob_report: report });
  return stream;
}

test('grpc-go tells its load when asked: utilization is known, and above 80 % it shows', async t => {
  const port = await freePort();
  const start = () => startListening(toolPath('grpc-interop-server'), ['-port', String(port)], port);
  let server = await start();
  t.after(() => server.stop(0));
  const rig = await startRig(t, [`127.0.0.1:${port}`], {
    health: { check: 'grpc', interval: '200ms' },
    control: { listen: '127.0.0.1:0', reportInterval: '1s' },
  });
  const { loads } = rig.mesh;
  const slot = () => rig.mesh.slotOf('a');
  await until(() => rig.health.streamsLoad('a'), 'its load is asked for', 10_000);
  const client = clientOf(TestService, `127.0.0.1:${port}`);
  t.after(() => client.close());
  const stream = tell(client, { cpu_utilization: 0.93, memory_utilization: 0.2 });
  await until(
    () => Math.abs((loads.utilization[slot()] as number) - 0.93) < 1e-9,
    'its load is known',
    10_000,
  );
  // A report without calls in flight says nothing of them.
  assert.ok(Number.isNaN(loads.reported[slot()] as number));
  stream.end();
  // Once a second, not once a call.
  const before = rig.health.counters.loads;
  await sleep(2_500);
  const came = rig.health.counters.loads - before;
  assert.ok(came >= 1 && came <= 4, `${came} reports in 2.5 s`);
  // Another process on the same port is asked again.
  await server.stop(0);
  await until(() => !rig.health.streamsLoad('a'), 'its stream is over', 10_000);
  server = await start();
  await until(() => rig.health.streamsLoad('a'), 'it is asked again', 20_000);
  await rig.configure({ health: { check: 'grpc', interval: '200ms', orca: false } });
  await until(() => !rig.health.streamsLoad('a'), 'it is not asked any more');
});
