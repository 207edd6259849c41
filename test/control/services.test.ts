import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Health } from '../../src/control/health.ts';
import { reflectionServices } from '../../src/control/reflection.ts';
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthListRequest,
  HealthListResponse,
} from '../../src/gen/grpc/health/v1/health.ts';
import {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from '../../src/gen/grpc/reflection/v1/reflection.ts';
import { Status } from '../../src/grpc/status.ts';
import {
  call,
  connect,
  failure,
  framed,
  Inbox,
  openBidi,
  openServerStream,
  rawSession,
  serve,
} from './support.ts';

describe('health', () => {
  const path = (method: string) => `/grpc.health.v1.Health/${method}`;
  it('is SERVING for what is there and NOT_FOUND for what is not, until it stops', async () => {
    const health = new Health(['a.B']);
    await serve([health.service()], async ({ address }) => {
      const client = connect(address);
      const check = (service: string) =>
        call(client, path('Check'), HealthCheckRequest, HealthCheckResponse, { service });
      assert.equal((await check('')).status, 1);
      assert.equal((await check('a.B')).status, 1);
      assert.equal((await failure(check('x.Y'))).code, Status.NOT_FOUND);
      const list = await call(client, path('List'), HealthListRequest, HealthListResponse, {});
      assert.deepEqual(Object.keys(list.statuses).sort(), ['', 'a.B']);
      const watch = (service: string) =>
        new Inbox(
          openServerStream(client, path('Watch'), HealthCheckRequest, HealthCheckResponse, { service }),
        );
      const known = watch('a.B');
      assert.equal((await known.next()).status, 1);
      const unknown = watch('x.Y');
      assert.equal((await unknown.next()).status, 3);
      health.stop();
      assert.equal((await known.next()).status, 2);
      await assert.rejects(known.next(), /has ended/);
      client.close();
    });
  });
});

describe('reflection', () => {
  const names = ['heapmesh.v1.LookasideService', 'grpc.health.v1.Health'];
  for (const version of ['v1', 'v1alpha']) {
    it(`lists services and gives files with all that they import, in ${version}`, async () => {
      await serve(reflectionServices(names), async ({ address }) => {
        const client = connect(address);
        const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
        const stream = openBidi(client, path, ServerReflectionRequest, ServerReflectionResponse);
        const inbox = new Inbox(stream);
        const ask = async (messageRequest: ServerReflectionRequest['messageRequest']) => {
          stream.write({ host: 'h', messageRequest });
          const { messageResponse, validHost } = await inbox.next();
          assert.equal(validHost, 'h');
          return messageResponse;
        };
        const list = await ask({ $case: 'listServices', value: '' });
        assert.deepEqual(
          list?.$case === 'listServicesResponse' && list.value.service.map(s => s.name),
          [...names].sort(),
        );
        for (const symbol of [
          'heapmesh.v1.LookasideService',
          'heapmesh.v1.LookasideService.PickServer',
          'heapmesh.v1.PickServerRequest',
          'heapmesh.v1.PickServerRequest.hash_key',
        ]) {
          const files = await ask({ $case: 'fileContainingSymbol', value: symbol });
          assert.equal(files?.$case, 'fileDescriptorResponse', symbol);
          // lookaside, server, orca, duration, timestamp.
          assert.equal(
            files?.$case === 'fileDescriptorResponse' && files.value.fileDescriptorProto.length,
            5,
          );
        }
        const file = await ask({ $case: 'fileByFilename', value: 'heapmesh/v1/server.proto' });
        assert.equal(file?.$case, 'fileDescriptorResponse');
        const extensions = await ask({ $case: 'allExtensionNumbersOfType', value: 'heapmesh.v1.Server' });
        assert.equal(extensions?.$case, 'allExtensionNumbersResponse');
        for (const question of [
          { $case: 'fileContainingSymbol', value: 'heapmesh.v1.LookasideService.Nothing' },
          { $case: 'fileContainingSymbol', value: '' },
          { $case: 'fileByFilename', value: '../../etc/passwd' },
          { $case: 'allExtensionNumbersOfType', value: 'x' },
          { $case: 'fileContainingExtension', value: { containingType: 'x', extensionNumber: 1 } },
          undefined,
        ] as ServerReflectionRequest['messageRequest'][]) {
          assert.equal((await ask(question))?.$case, 'errorResponse');
        }
        stream.end();
        await assert.rejects(inbox.next(), /has ended/);
        client.close();
      });
    });
  }

  it('ends a caller that asks without reading', async () => {
    await serve(reflectionServices(names), async ({ address }) => {
      const session = await rawSession(address);
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      const question = framed(
        ServerReflectionRequest.encode({
          host: '',
          messageRequest: { $case: 'fileContainingSymbol', value: 'heapmesh.v1.AdminService' },
        }).finish(),
      );
      for (let i = 0; i < 1000; i++) stream.write(question);
      // Paused until now: only now does it read, and finds fewer answers than questions.
      const trailers = once(stream, 'trailers');
      await new Promise(resolve => setTimeout(resolve, 200));
      stream.resume();
      const [tail] = await trailers;
      assert.equal(Number(tail['grpc-status']), Status.RESOURCE_EXHAUSTED);
      session.destroy();
    });
  });
});
