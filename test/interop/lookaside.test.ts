/**
 * Lookaside with programs of other authors: two interop servers of grpc-go behind `heapmesh serve`, reached
 * by a channel to `heapmesh://`, and the control API driven by grpcurl, which knows it by reflection alone.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { on, once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { registerHeapmesh } from 'heapmesh/client';
import { toolPath } from '../../scripts/tools/install.ts';
import { type Served, serve } from '../cli/process.ts';
import {
  type Client,
  clientOf,
  ended,
  type Payload,
  streaming,
  TestService,
  unary,
} from '../conformance/interop/service.ts';
import { freePort, type Program, startListening } from '../support/program.ts';

const SERVICE = 'grpc.testing.TestService';
const LARGE_REQUEST = 271_828;
const LARGE_RESPONSE = 314_159;
const SIZES = [31_415, 9, 2_653, 58_979];

const run = promisify(execFile);
const payload = (bytes: number): Payload => ({ body: Buffer.alloc(bytes) });

const servers: Program[] = [];
const addresses: string[] = [];
let balancer: Served;
let client: Client;

before(async () => {
  for (let n = 0; n < 2; n++) {
    const port = await freePort();
    servers.push(await startListening(toolPath('grpc-interop-server'), ['-port', String(port)], port));
    addresses.push(`127.0.0.1:${port}`);
  }
  balancer = await serve(addresses.flatMap(address => ['--server', `${SERVICE}=${address}`]));
  registerHeapmesh(grpc);
  client = clientOf(TestService, `heapmesh://${balancer.control}/${SERVICE}`);
});

after(async () => {
  client?.close();
  await balancer?.stop();
  await Promise.all(servers.map(server => server.stop(0)));
});

/** A call's answer, and which of the servers gave it. */
async function askedOf(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const start = client.EmptyCall as unknown as (...args: unknown[]) => grpc.ClientUnaryCall;
  const call = start.call(client, {}, (error: Error | null) =>
    error === null ? resolve(call.getPeer()) : reject(error),
  );
  return promise;
}

test('calls reach both servers, and nobody else', async () => {
  // The first calls go to the server that is connected first.
  await until(async () => new Set(await peersOfTen()).size === 2, 'both servers answer');
  const peers = await Promise.all(Array.from({ length: 40 }, askedOf));
  // How many each gets depends on how far a server has warmed up; the policies' own tests say that.
  assert.deepEqual(new Set(peers), new Set(addresses));
});

test('a large unary call', async () => {
  const request = { response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST) };
  const { code, response } = await unary<{ payload: Payload }>(client, 'UnaryCall', request);
  assert.equal(code, grpc.status.OK);
  assert.equal(response?.payload.body.length, LARGE_RESPONSE);
});

test('a stream up, and a stream down', async () => {
  const answer = Promise.withResolvers<{ aggregated_payload_size: number }>();
  const up = streaming<grpc.ClientWritableStream<unknown>>(
    client,
    'StreamingInputCall',
    (error: Error | null, sum: never) => (error === null ? answer.resolve(sum) : answer.reject(error)),
  );
  for (const size of SIZES) up.write({ payload: payload(size) });
  up.end();
  assert.equal((await answer.promise).aggregated_payload_size, 93_056);

  const request = { response_parameters: SIZES.map(size => ({ size })) };
  const down = streaming<grpc.ClientReadableStream<{ payload: Payload }>>(
    client,
    'StreamingOutputCall',
    request,
  );
  const sizes: number[] = [];
  for await (const message of down) sizes.push(message.payload.body.length);
  assert.deepEqual(sizes, SIZES);
});

test('a stream both ways, answer by answer', async () => {
  const call = streaming<grpc.ClientDuplexStream<unknown, { payload: Payload }>>(client, 'FullDuplexCall');
  const end = ended(call as never);
  const answers = on(call, 'data');
  for (const size of SIZES) {
    call.write({ response_parameters: [{ size }], payload: payload(size) });
    const { value } = (await answers.next()) as { value: [{ payload: Payload }] };
    assert.equal(value[0].payload.body.length, size);
  }
  call.end();
  assert.equal((await end).code, grpc.status.OK);
});

test("a server's own status comes through", async () => {
  const { code, details } = await unary(client, 'UnaryCall', {
    response_status: { code: 2, message: 'test status message' },
  });
  assert.deepEqual([code, details], [2, 'test status message']);
});

/** grpcurl's answers, as JSON values one after the other. */
async function grpcurl(...args: string[]): Promise<string> {
  const { stdout } = await run(toolPath('grpcurl'), ['-plaintext', '-max-time', '10', ...args]);
  return stdout;
}

test('grpcurl lists and describes the control API by reflection', async () => {
  const services = (await grpcurl(balancer.control, 'list')).trim().split('\n');
  for (const name of ['LookasideService', 'LoadReportService', 'AdminService']) {
    assert.ok(services.includes(`heapmesh.v1.${name}`), services.join());
  }
  const described = await grpcurl(balancer.control, 'describe', 'heapmesh.v1.PickServerRequest');
  assert.match(described, /repeated string exclude_ids = 3;/);
});

test('grpcurl picks, reports the outcome once, and hears that the second report is late', async () => {
  const picked = JSON.parse(
    await grpcurl(
      '-d',
      JSON.stringify({ service: SERVICE }),
      balancer.control,
      'heapmesh.v1.LookasideService/PickServer',
    ),
  ) as { server: { address: string }; leaseId: string };
  assert.ok(addresses.includes(picked.server.address), JSON.stringify(picked));
  const outcome = JSON.stringify({ leaseId: picked.leaseId, latency: '0.002s' });
  const report = [
    '-d',
    `${outcome}\n${outcome}`,
    balancer.control,
    'heapmesh.v1.LookasideService/ReportOutcomes',
  ];
  assert.deepEqual(JSON.parse(await grpcurl(...report)), { accepted: '1', unknown: '1' });
});

test('grpcurl takes a server out and puts it back, and calls follow', async () => {
  const [first = '', second = ''] = addresses;
  const admin = (method: string, request: object): Promise<string> =>
    grpcurl('-d', JSON.stringify(request), balancer.control, `heapmesh.v1.AdminService/${method}`);
  await admin('DrainServer', { id: first, cause: 'a test' });
  await until(
    async () => (await peersOfTen()).every(peer => peer === second),
    'all calls go to the other server',
  );
  await admin('UndrainServer', { id: first });
  await until(async () => (await peersOfTen()).includes(first), 'calls go to it again');
  const listed = JSON.parse(await admin('ListServers', {})) as { servers: { server: { address: string } }[] };
  assert.deepEqual(listed.servers.map(({ server }) => server.address).sort(), [...addresses].sort());
});

const peersOfTen = (): Promise<string[]> => Promise.all(Array.from({ length: 10 }, askedOf));

test('grpcurl gets a clear error for what is wrong', async () => {
  const pick = (request: object): Promise<string> =>
    grpcurl('-d', JSON.stringify(request), balancer.control, 'heapmesh.v1.LookasideService/PickServer');
  await assert.rejects(pick({ service: 'no.such.Service' }), /Code: NotFound/);
  await assert.rejects(pick({ service: 'x'.repeat(10_000) }), /Code: InvalidArgument[\s\S]*service/);
  const health = await grpcurl(balancer.control, 'grpc.health.v1.Health/Check');
  assert.deepEqual(JSON.parse(health), { status: 'SERVING' });
});

test('a server that is killed fails no call that begins 250 ms later', async () => {
  const [victim] = servers;
  assert.ok(victim !== undefined);
  const gone = once(victim.child, 'exit');
  victim.child.kill('SIGKILL');
  await gone;
  // What is promised: callers may take until then to hear of it.
  await sleep(250);
  const peers = await Promise.all(Array.from({ length: 20 }, askedOf));
  assert.deepEqual([...new Set(peers)], [addresses[1]]);
});

/** Asks again until it holds: what is waited for is another process's view. The runner's time-out ends it. */
async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const started = Date.now();
  while (!(await holds())) assert.ok(Date.now() - started < 10_000, `not within 10 s: ${what}`);
}
