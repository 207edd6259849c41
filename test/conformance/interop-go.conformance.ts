/** The interop list by grpc-go's client, through the proxy onto two of its servers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toolPath } from '../../scripts/tools/install.ts';
import { startProgram } from '../support/program.ts';
import { interopServers, proxyFor } from './harness.ts';

/** All names that grpc-go 1.85 has, without those that take credentials or more than one address. */
const NAMES = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
  'rpc_soak',
  'channel_soak',
];

/** The client takes load reports in a balancing policy of its own. */
const TAKES_REPORTS =
  '-service_config_json={"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}';

async function runClient(address: string, name: string, more: readonly string[] = []): Promise<void> {
  const [host = '', port = ''] = address.split(':');
  const args = [`-test_case=${name}`, `-server_host=${host}`, `-server_port=${port}`, ...more];
  const client = await startProgram(toolPath('grpc-interop-client'), args);
  const end = await client.ended;
  assert.equal(end, 0, `${name}: the client ended with ${end}\n${client.printed()}`);
}

test('the interop list, onto two servers', async t => {
  const { addresses } = await interopServers(t, 2);
  const { address } = await proxyFor(t, addresses);
  for (const name of NAMES) {
    await t.test(name, () => runClient(address, name, ['-soak_iterations=20']));
  }
});

test('load reports in trailers', async t => {
  const { addresses } = await interopServers(t, 2);
  const { address } = await proxyFor(t, addresses, { keepOrcaTrailers: true });
  await runClient(address, 'orca_per_rpc', [TAKES_REPORTS]);
});

test('load reports out of band', async t => {
  // One server: what the client tells the server to report, the same server is to report.
  const { addresses } = await interopServers(t, 1);
  const { address } = await proxyFor(t, addresses);
  await runClient(address, 'orca_oob', [TAKES_REPORTS]);
});
