/** The interop list by grpc-js, through the proxy onto two servers of grpc-go. */
import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { type TestContext, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { interopServers, proxyFor } from './harness.ts';
import {
  type Client,
  clientOf,
  ended,
  type Payload,
  streaming,
  TestService,
  UnimplementedService,
  unary,
} from './interop/service.ts';

const REQUEST_SIZES = [27182, 8, 1828, 45904];
const RESPONSE_SIZES = [31415, 9, 2653, 58979];
const LARGE_REQUEST = 271_828;
const LARGE_RESPONSE = 314_159;

type Duplex = grpc.ClientDuplexStream<unknown, { payload: Payload }>;
type Uploading = grpc.ClientWritableStream<unknown>;
type Downloading = grpc.ClientReadableStream<{ payload: Payload }>;

const payload = (bytes: number): Payload => ({ body: Buffer.alloc(bytes) });

const CASES: Readonly<Record<string, (client: Client, address: string) => Promise<void>>> = {
  async empty_unary(client) {
    const { code, response } = await unary(client, 'EmptyCall', {});
    assert.equal(code, grpc.status.OK);
    assert.deepEqual(response, {});
  },

  async large_unary(client) {
    const request = { response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST) };
    const { code, response } = await unary<{ payload: Payload }>(client, 'UnaryCall', request);
    assert.equal(code, grpc.status.OK);
    assert.equal(response?.payload.body.length, LARGE_RESPONSE);
  },

  async client_streaming(client) {
    const answer = Promise.withResolvers<{ aggregated_payload_size: number }>();
    const call = streaming<Uploading>(client, 'StreamingInputCall', (error: Error | null, sum: never) =>
      error === null ? answer.resolve(sum) : answer.reject(error),
    );
    for (const size of REQUEST_SIZES) call.write({ payload: payload(size) });
    call.end();
    assert.equal((await answer.promise).aggregated_payload_size, 74_922);
  },

  async server_streaming(client) {
    const request = { response_parameters: RESPONSE_SIZES.map(size => ({ size })) };
    const call = streaming<Downloading>(client, 'StreamingOutputCall', request);
    const end = ended(call);
    const sizes: number[] = [];
    for await (const { payload: came } of call) sizes.push(came.body.length);
    assert.deepEqual(sizes, RESPONSE_SIZES);
    assert.equal((await end).code, grpc.status.OK);
  },

  async ping_pong(client) {
    const call = streaming<Duplex>(client, 'FullDuplexCall');
    const end = ended(call);
    const answers = on(call, 'data');
    for (const [index, size] of REQUEST_SIZES.entries()) {
      call.write({ response_parameters: [{ size: RESPONSE_SIZES[index] }], payload: payload(size) });
      const { value } = await answers.next();
      assert.equal(value?.[0].payload.body.length, RESPONSE_SIZES[index]);
    }
    call.end();
    assert.equal((await end).code, grpc.status.OK);
  },

  async empty_stream(client) {
    const call = streaming<Duplex>(client, 'FullDuplexCall');
    const end = ended(call);
    let answers = 0;
    call.on('data', () => answers++);
    call.end();
    assert.equal((await end).code, grpc.status.OK);
    assert.equal(answers, 0);
  },

  async timeout_on_sleeping_server(client) {
    const call = streaming<Duplex>(client, 'FullDuplexCall', new grpc.Metadata(), {
      deadline: Date.now() + 20,
    });
    const end = ended(call);
    call.resume();
    call.write({ payload: payload(27_182), response_parameters: [{ size: 31_415, interval_us: 1e6 }] });
    assert.equal((await end).code, grpc.status.DEADLINE_EXCEEDED);
  },

  async cancel_after_begin(client) {
    const call = streaming<Uploading>(client, 'StreamingInputCall', () => undefined);
    const end = ended(call as never);
    call.cancel();
    assert.equal((await end).code, grpc.status.CANCELLED);
  },

  async cancel_after_first_response(client) {
    const call = streaming<Duplex>(client, 'FullDuplexCall');
    const end = ended(call);
    call.write({ response_parameters: [{ size: 31_415 }], payload: payload(27_182) });
    await once(call, 'data');
    call.cancel();
    assert.equal((await end).code, grpc.status.CANCELLED);
  },

  async status_code_and_message(client) {
    const response_status = { code: 2, message: 'test status message' };
    const { code, details } = await unary(client, 'UnaryCall', { response_status });
    assert.deepEqual([code, details], [2, 'test status message']);
    const call = streaming<Duplex>(client, 'FullDuplexCall');
    const end = ended(call);
    call.resume();
    call.write({ response_status });
    call.end();
    const { code: again, details: text } = await end;
    assert.deepEqual([again, text], [2, 'test status message']);
  },

  async special_status_message(client) {
    const message = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';
    const { code, details } = await unary(client, 'UnaryCall', { response_status: { code: 2, message } });
    assert.deepEqual([code, details], [2, message]);
  },

  async custom_metadata(client) {
    const metadata = new grpc.Metadata();
    const initial = 'x-grpc-test-echo-initial';
    const trailing = 'x-grpc-test-echo-trailing-bin';
    const bytes = Buffer.from('ababab', 'hex');
    metadata.set(initial, 'test_initial_metadata_value');
    metadata.set(trailing, bytes);
    const request = { response_size: 1, payload: payload(1) };
    const one = await unary(client, 'UnaryCall', request, { metadata });
    const call = streaming<Duplex>(client, 'FullDuplexCall', metadata);
    const end = ended(call);
    call.resume();
    call.write({ response_parameters: [{ size: 1 }], payload: payload(1) });
    call.end();
    for (const { code, header, trailer } of [one, await end]) {
      assert.equal(code, grpc.status.OK);
      assert.deepEqual(header?.get(initial), ['test_initial_metadata_value']);
      assert.deepEqual(trailer.get(trailing), [bytes]);
    }
  },

  async unimplemented_method(client) {
    assert.equal((await unary(client, 'UnimplementedCall', {})).code, grpc.status.UNIMPLEMENTED);
  },

  async unimplemented_service(_client, address) {
    const client = clientOf(UnimplementedService, address);
    const { code } = await unary(client, 'UnimplementedCall', {});
    client.close();
    assert.equal(code, grpc.status.UNIMPLEMENTED);
  },

  async rpc_soak(client) {
    const request = { response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST) };
    for (let n = 0; n < 20; n++) {
      assert.equal((await unary(client, 'UnaryCall', request)).code, grpc.status.OK);
    }
  },

  async channel_soak(_client, address) {
    const request = { response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST) };
    for (let n = 0; n < 20; n++) {
      const client = clientOf(TestService, address);
      const { code } = await unary(client, 'UnaryCall', request);
      client.close();
      assert.equal(code, grpc.status.OK);
    }
  },
};

async function throughProxy(t: TestContext, keepOrcaTrailers: boolean) {
  const { addresses } = await interopServers(t, 2);
  const { address } = await proxyFor(t, addresses, { keepOrcaTrailers });
  const client = clientOf(TestService, address);
  t.after(() => client.close());
  return { address, client };
}

test('the interop list, onto two servers', async t => {
  const { address, client } = await throughProxy(t, false);
  for (const [name, run] of Object.entries(CASES)) await t.test(name, () => run(client, address));
});

const ORCA_TRAILER = 'endpoint-load-metrics-bin';
const REPORTED = { orca_per_query_report: { cpu_utilization: 0.821, memory_utilization: 0.5847 } };

test('orca_per_rpc: a load report in the trailers reaches a caller where that is asked for', async t => {
  const { client } = await throughProxy(t, true);
  const { code, trailer } = await unary(client, 'UnaryCall', REPORTED);
  assert.equal(code, grpc.status.OK);
  assert.equal(trailer.get(ORCA_TRAILER).length, 1);
});

test('a load report in the trailers is for the proxy alone', async t => {
  const { client } = await throughProxy(t, false);
  const { code, trailer } = await unary(client, 'UnaryCall', REPORTED);
  assert.equal(code, grpc.status.OK);
  assert.equal(trailer.get(ORCA_TRAILER).length, 0);
});
