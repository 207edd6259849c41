/** What is wrong with options is said where it is, and what an application's functions do ends nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLoadReporter, type LoadReporterOptions, ReporterError } from '../../src/backend/backend.ts';
import { CustomMetrics } from '../../src/backend/custom-metrics.ts';
import { deadAddress, FakeBalancer, reporterFor } from './support.ts';

const fine: LoadReporterOptions = { balancers: ['127.0.0.1:4701'], services: ['echo.v1.EchoService'] };

test('each mistake has its message', () => {
  const mistakes: [Partial<Record<keyof LoadReporterOptions, unknown>>, RegExp][] = [
    [{ balancers: [] }, /balancers must name at least one/],
    [{ balancers: ['127.0.0.1'] }, /'127.0.0.1', whose port is missing/],
    [{ balancers: ['127.0.0.1:0'] }, /'127.0.0.1:0', whose port is missing or wrong/],
    [{ balancers: ['a b:1'] }, /'a b:1', which is no address/],
    [{ balancers: [7] }, /7, which is no address/],
    [{ balancers: Array(65).fill('a:1') }, /more than 64/],
    [{ services: [] }, /services must name at least one/],
    [{ services: ['/echo.v1.EchoService'] }, /'\/echo.v1.EchoService'; write the full name/],
    [{ address: '50051' }, /address is '50051'; write host:port/],
    [{ address: 'a:70000' }, /address is 'a:70000'/],
    [{ address: '::1:80' }, /address is '::1:80'/],
    [{ weight: 0 }, /weight is 0; give a number above 0/],
    [{ weight: Number.POSITIVE_INFINITY }, /weight is Infinity/],
    [{ maxConcurrency: 1.5 }, /maxConcurrency is 1.5; give a whole number/],
    [{ id: 7 }, /id is 7; give a string/],
    [{ labels: { a: 1 } }, /labels.a is 1; give a string/],
    [{ namedMetrics: {} }, /namedMetrics must be a function/],
    [{ utilization: { ['n'.repeat(300)]: () => 1 } }, /name of more than 256/],
    [{ utilization: { db: 0.5 } }, /utilization.db must be a function/],
    [{ applicationUtilization: 'best' }, /applicationUtilization is 'best'; give max/],
    [{ drainTimeoutMs: -1 }, /drainTimeoutMs is -1; give milliseconds/],
    [{ settleMs: Number.NaN }, /settleMs is NaN/],
  ];
  for (const [change, message] of mistakes) {
    assert.throws(
      () => createLoadReporter({ ...fine, ...change } as LoadReporterOptions),
      (error: unknown) =>
        error instanceof ReporterError && error.code === 'invalid-options' && message.test(error.message),
      message.source,
    );
  }
  for (const address of ['a.b:1', ':50051', '0.0.0.0:1', '[::1]:80', '[::]:80']) {
    createLoadReporter({ ...fine, address });
  }
  for (const balancer of [
    'localhost:4701',
    '[::1]:4701',
    'dns:///balancers.svc:4701',
    'unix:/run/heapmesh.sock',
  ]) {
    createLoadReporter({ ...fine, balancers: [balancer] });
  }
});

test('without an address there is nothing to register', async () => {
  const reporter = createLoadReporter(fine);
  await assert.rejects(reporter.start(), { code: 'invalid-options', message: /address is missing/ });
  await assert.rejects(reporter.start({ address: 'x' }), { code: 'invalid-options' });
  await assert.rejects(reporter.start({ address: ':1', timeoutMs: -1 }), { code: 'invalid-options' });
  await assert.rejects(reporter.drain({ timeoutMs: Number.NaN }), { code: 'invalid-options' });
  // None of them has used the reporter up.
  assert.equal(reporter.state.phase, 'idle');
  await reporter.start({ address: ':1', until: 'none' });
  await reporter.close();
});

test('a target that grpc-js makes nothing of is a balancer that is away', async () => {
  const reporter = reporterFor(['nonsense:///::::']);
  await assert.rejects(reporter.start({ timeoutMs: 50 }), { code: /refused|timeout/ });
  await reporter.close();
});

test('figures of the application: sent where they are figures, else left out and said once', () => {
  const warnings: string[] = [];
  const logger = { info: () => {}, warn: (message: string) => void warnings.push(message), error: () => {} };
  let pool = () => 0.5;
  const metrics = new CustomMetrics(
    () => ({
      queue: 3,
      below: -1,
      broken: Number.NaN,
      ['n'.repeat(300)]: 1,
      in_flight: 9,
      text: 'x' as never,
    }),
    { pool: () => pool(), bad: () => Number.POSITIVE_INFINITY },
    logger,
  );
  for (let round = 0; round < 3; round += 1) {
    assert.deepEqual(metrics.namedMetrics(), { queue: 3, below: -1 });
    assert.deepEqual(metrics.utilization(), { pool: 0.5 });
  }
  assert.equal(warnings.length, 5);
  pool = () => {
    throw new Error('gone');
  };
  assert.deepEqual(metrics.utilization(), {});
  assert.match(warnings.at(-1) ?? '', /utilization.pool threw Error: gone/);
  assert.equal(
    metrics.application(() => -1),
    0,
  );
  assert.equal(
    metrics.application(() => 1.7),
    1.7,
  );
});

test('more metrics than fit are cut', () => {
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`m${index}`, index]));
  const metrics = new CustomMetrics(() => many, {}, { info: () => {}, warn: () => {}, error: () => {} });
  assert.equal(Object.keys(metrics.namedMetrics()).length, 64);
});

test('what is reported as utilization is what was chosen', async () => {
  const balancer = await FakeBalancer.start();
  try {
    for (const applicationUtilization of ['max', 'cpu', 'event-loop', () => 0.75] as const) {
      const reporter = reporterFor([balancer.address], {
        applicationUtilization,
        utilization: { db_pool: () => 0.5 },
        namedMetrics: () => ({ queue: 2 }),
      });
      const started = reporter.start();
      const stream = await balancer.next();
      await stream.accept({ intervalMs: 10 });
      await started;
      const load = await stream.nextLoad();
      const {
        cpuUtilization,
        utilization,
        applicationUtilization: sent,
        memUtilization,
        namedMetrics,
      } = load;
      const cpu = Math.max(cpuUtilization, utilization.cgroup_cpu ?? 0);
      const loop = utilization.event_loop ?? Number.NaN;
      const expected = { max: Math.max(cpu, loop), cpu, 'event-loop': loop };
      const chosen = typeof applicationUtilization === 'function' ? 0.75 : expected[applicationUtilization];
      assert.equal(sent, chosen);
      assert.ok(memUtilization > 0);
      assert.equal(utilization.db_pool, 0.5);
      assert.deepEqual(namedMetrics, { queue: 2, in_flight: 0 });
      await reporter.close();
    }
  } finally {
    balancer.stop();
  }
});

test('a listener or a logger of the application that throws costs nothing', async () => {
  const balancer = await FakeBalancer.start();
  const errors: string[] = [];
  const logger = { info: () => {}, warn: () => {}, error: (message: string) => void errors.push(message) };
  const reporter = reporterFor([balancer.address, await deadAddress()], { logger });
  try {
    const off = reporter.on('registered', () => assert.fail('taken off'));
    off();
    reporter.on('registered', () => {
      throw new Error('mine');
    });
    const started = reporter.start();
    await (await balancer.next()).accept();
    await started;
    assert.deepEqual(errors, ["heapmesh: a listener for 'registered' threw: Error: mine"]);
  } finally {
    await reporter.close();
    balancer.stop();
  }
});
