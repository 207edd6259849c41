import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, before, test } from 'node:test';
import { createServer, type Server } from 'nice-grpc';
import { type CallEnd, withTarget } from '../../src/cli/generic/target.ts';
import {
  LookasideServiceDefinition,
  type ReportOutcomesRequest,
} from '../../src/gen/heapmesh/v1/lookaside.ts';

/** A balancer that gives short leases and keeps what it is told of them. */
const reports: ReportOutcomesRequest[] = [];
const told = new EventEmitter();
let server: Server;
let control: string;

before(async () => {
  server = createServer();
  server.add(LookasideServiceDefinition, {
    pickServer: async () => ({
      server: { id: 'a', address: 'h:1' },
      leaseId: 'L',
      leaseTtl: { nanos: 200_000_000 },
    }),
    watchServers: async function* () {},
    reportOutcomes: async requests => {
      for await (const request of requests) {
        reports.push(request);
        told.emit('report');
      }
      return { accepted: 1n };
    },
  });
  control = `127.0.0.1:${await server.listen('127.0.0.1:0')}`;
});
after(() => server.forceShutdown());

const run = (work: () => Promise<CallEnd>) => {
  reports.length = 0;
  return withTarget({ control, timeout: 5_000, service: 'a.B', method: 'C' }, work);
};

test('a lease is renewed as long as the call goes on, and completed with its status', {
  timeout: 20_000,
}, async () => {
  await run(async () => {
    while (reports.length < 3) await once(told, 'report');
    return { code: 5, latencyMs: 1_500 };
  });
  const last = reports.at(-1);
  for (const report of reports.slice(0, -1)) assert.equal(report.inProgress, true);
  assert.ok(reports.every(report => report.leaseId === 'L'));
  assert.equal(last?.inProgress, false);
  assert.equal(last?.grpcStatus, 5);
  assert.deepEqual(last?.latency, { seconds: 1n, nanos: 500_000_000 });
});

test('a call that was never made gives its lease back as cancelled', async () => {
  await assert.rejects(
    run(() => Promise.reject(new Error('no types'))),
    /no types/,
  );
  assert.deepEqual(
    reports.filter(report => !report.inProgress).map(report => report.grpcStatus),
    [1],
  );
});
