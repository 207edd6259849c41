/** Real gRPC through the proxy, both ends by grpc-js: every kind of call, its metadata, its end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { startRig, until } from './rig.ts';

const bytes = (value: Buffer): Buffer => value;

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/echo.v1.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

const ECHO = {
  one: method('One', false, false),
  many: method('Many', true, false),
  list: method('List', false, true),
  chat: method('Chat', true, true),
};

interface Backend {
  readonly address: string;
  readonly server: grpc.Server;
  readonly cancelled: string[];
  readonly deadlines: number[];
}

async function backendFor(t: TestContext, name: string): Promise<Backend> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
  const cancelled: string[] = [];
  const deadlines: number[] = [];
  server.addService(ECHO, {
    one(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      const wants = String(call.metadata.get('x-fail')[0] ?? '');
      deadlines.push(Number(call.getDeadline()) - Date.now());
      const head = new grpc.Metadata();
      for (const each of call.metadata.get('x-echo')) head.add('x-head', each);
      const tail = new grpc.Metadata();
      tail.set('x-name', name);
      tail.set('x-raw-bin', Buffer.from([0, 255, 10]));
      call.sendMetadata(head);
      call.on('cancelled', () => cancelled.push('one'));
      if (wants === 'hang') return;
      if (wants !== '') done({ code: grpc.status.ABORTED, details: 'böse: 100 %', metadata: tail });
      else done(null, call.request, tail);
    },
    many(call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      const all: Buffer[] = [];
      call.on('data', (each: Buffer) => all.push(each));
      call.on('end', () => done(null, Buffer.concat(all)));
    },
    list(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      for (const byte of call.request) call.write(Buffer.alloc(byte * 1_000, byte));
      call.end();
    },
    chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on('cancelled', () => cancelled.push('chat'));
      call.on('data', (each: Buffer) => {
        if (call.write(each)) return;
        call.pause();
        call.once('drain', () => call.resume());
      });
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  t.after(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, server, cancelled, deadlines };
}

type Client = grpc.Client & {
  one(
    request: Buffer,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    done: (error: grpc.ServiceError | null, answer?: Buffer) => void,
  ): grpc.ClientUnaryCall;
  many(done: (error: grpc.ServiceError | null, answer?: Buffer) => void): grpc.ClientWritableStream<Buffer>;
  list(request: Buffer): grpc.ClientReadableStream<Buffer>;
  chat(): grpc.ClientDuplexStream<Buffer, Buffer>;
};

function clientFor(t: TestContext, address: string): Client {
  const Constructor = grpc.makeGenericClientConstructor(ECHO, 'Echo');
  const client = new Constructor(address, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    // So that no fault is hidden.
    'grpc.enable_retries': 0,
  }) as unknown as Client;
  t.after(() => client.close());
  return client;
}

interface Answer {
  readonly error: grpc.ServiceError | null;
  readonly body: Buffer | undefined;
  readonly head: grpc.Metadata;
  readonly status: grpc.StatusObject;
}

async function one(
  client: Client,
  body: Buffer,
  fields: Record<string, string> = {},
  options: grpc.CallOptions = {},
): Promise<Answer> {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  const answered = Promise.withResolvers<[grpc.ServiceError | null, Buffer | undefined]>();
  const call = client.one(body, metadata, options, (error, answer) => answered.resolve([error, answer]));
  let head = new grpc.Metadata();
  call.on('metadata', (given: grpc.Metadata) => {
    head = given;
  });
  const [status] = (await once(call, 'status')) as [grpc.StatusObject];
  const [error, answer] = await answered.promise;
  return { error, body: answer, head, status };
}

test('unary: body, metadata of both kinds, errors with their details', async t => {
  const backend = await backendFor(t, 'a');
  const rig = await startRig(t, [backend.address]);
  const client = clientFor(t, rig.address);
  const body = Buffer.from('hello');
  const { body: answer, head, status } = await one(client, body, { 'x-echo': 'yes' });
  assert.deepEqual(answer, body);
  assert.deepEqual(head.get('x-head'), ['yes']);
  assert.deepEqual(status.metadata.get('x-name'), ['a']);
  assert.deepEqual(status.metadata.get('x-raw-bin'), [Buffer.from([0, 255, 10])]);
  const { error } = await one(client, body, { 'x-fail': '1' });
  assert.deepEqual([error?.code, error?.details], [grpc.status.ABORTED, 'böse: 100 %']);
  assert.deepEqual(error?.metadata.get('x-name'), ['a']);
});

test('messages of 0 bytes and of 20 MiB', async t => {
  const backend = await backendFor(t, 'a');
  const rig = await startRig(t, [backend.address]);
  const client = clientFor(t, rig.address);
  for (const size of [0, 1, 16_379, 65_535, 20 * 2 ** 20]) {
    const body = Buffer.alloc(size, size & 255);
    const { body: answer } = await one(client, body);
    assert.ok(answer?.equals(body), `${size} octets`);
  }
});

test('streams of all kinds', async t => {
  const backend = await backendFor(t, 'a');
  const rig = await startRig(t, [backend.address]);
  const client = clientFor(t, rig.address);
  const sum = await new Promise<Buffer>((resolve, reject) => {
    const call = client.many((error, answer) => (answer === undefined ? reject(error) : resolve(answer)));
    for (let n = 0; n < 100; n++) call.write(Buffer.alloc(1_000, n));
    call.end();
  });
  assert.equal(sum.length, 100_000);
  const sizes: number[] = [];
  for await (const each of client.list(Buffer.from([1, 0, 200, 3]))) sizes.push((each as Buffer).length);
  assert.deepEqual(sizes, [1_000, 0, 200_000, 3_000]);
  const chat = client.chat();
  const back: Buffer[] = [];
  chat.on('data', (each: Buffer) => back.push(each));
  for (let n = 0; n < 50; n++) {
    chat.write(Buffer.from([n]));
    await until(() => back.length === n + 1);
  }
  chat.end();
  await once(chat, 'end');
  assert.deepEqual(Buffer.concat(back), Buffer.from(Array.from({ length: 50 }, (_, n) => n)));
});

test('cancellation and deadlines reach the backend', async t => {
  const backend = await backendFor(t, 'a');
  const rig = await startRig(t, [backend.address]);
  const client = clientFor(t, rig.address);
  const late = await one(client, Buffer.alloc(1), { 'x-fail': 'hang' }, { deadline: Date.now() + 300 });
  assert.equal(late.error?.code, grpc.status.DEADLINE_EXCEEDED);
  await until(() => backend.cancelled.includes('one'));
  const [left = 0] = backend.deadlines;
  assert.ok(left > 0 && left <= 300, `${left} ms`);
  const chat = client.chat();
  chat.write(Buffer.alloc(1));
  await once(chat, 'data');
  chat.cancel();
  await once(chat, 'error').catch(() => undefined);
  await until(() => backend.cancelled.includes('chat'));
});

test('one client, three backends: all are used, and one that shuts down costs nothing', async t => {
  const backends = await Promise.all(['a', 'b', 'c'].map(name => backendFor(t, name)));
  const rig = await startRig(
    t,
    backends.map(({ address }) => address),
  );
  const client = clientFor(t, rig.address);
  const served = new Map<string, number>();
  const run = async (calls: number): Promise<void> => {
    for (let n = 0; n < calls; n++) {
      const { error, status } = await one(client, Buffer.from('x'));
      assert.equal(error, null, String(error));
      const name = String(status.metadata.get('x-name')[0]);
      served.set(name, (served.get(name) ?? 0) + 1);
    }
  };
  const working = Promise.all(Array.from({ length: 8 }, () => run(60)));
  await until(() => [...served.values()].reduce((sum, each) => sum + each, 0) > 100);
  await new Promise<void>(resolve => backends[1]?.server.tryShutdown(() => resolve()));
  await working;
  assert.deepEqual([...served.keys()].toSorted(), ['a', 'b', 'c']);
});
