import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseHostPort } from '../../src/control/address.ts';
import { allowBackends } from '../../src/control/authorize.ts';
import { RpcError } from '../../src/control/rpc.ts';
import {
  type Claim,
  validCause,
  validClaim,
  validDuration,
  validId,
  validLoad,
  validPick,
  validService,
  validWatch,
  validWeight,
} from '../../src/control/validate.ts';
import { CONTROL } from '../../src/core/limits.ts';
import { PickServerRequest, WatchServersRequest } from '../../src/gen/heapmesh/v1/lookaside.ts';
import { OrcaLoadReport } from '../../src/gen/xds/data/orca/v3/orca_load_report.ts';
import { durationOf } from '../../src/grpc/duration.ts';
import { Status } from '../../src/grpc/status.ts';

const anyone = allowBackends(undefined);
const good: Claim = {
  id: 'a',
  address: '10.0.0.1:50051',
  services: ['echo.v1.EchoService'],
  weight: 1,
  zone: 'z1',
  labels: { version: '1' },
  maxConcurrency: 0,
  standby: false,
};

/** The fields that a check names; empty where it lets the input through. */
function violations(check: () => unknown): string[] {
  try {
    check();
    return [];
  } catch (error) {
    assert.ok(error instanceof RpcError, String(error));
    assert.equal(error.code, Status.INVALID_ARGUMENT);
    return error.violations.map(v => v.field);
  }
}

const claimed = (change: Partial<Claim>, peer = '192.0.2.7') =>
  violations(() => validClaim({ ...good, ...change }, 'registration', peer, anyone));

describe('claims', () => {
  it('become what the core works with', () => {
    const spec = validClaim(
      { ...good, id: '', weight: 0, services: ['a.B', 'a.B', '*'] },
      'server',
      '',
      anyone,
    );
    assert.deepEqual(spec, { ...good, id: '10.0.0.1:50051', weight: 1, services: ['a.B', '*'] });
  });

  it('take the address of the stream where the host is empty or a wildcard', () => {
    for (const host of ['', '0.0.0.0', '[::]', '[0:0:0:0:0:0:0:0]', '*']) {
      const spec = validClaim({ ...good, address: `${host}:50051` }, 'registration', '192.0.2.7', anyone);
      assert.equal(spec.address, '192.0.2.7:50051', host);
    }
    const v6 = validClaim({ ...good, address: ':1' }, 'registration', '2001:db8::1', anyone);
    assert.equal(v6.address, '[2001:db8::1]:1');
    assert.deepEqual(claimed({ address: ':1' }, ''), ['registration.address']);
  });

  it('spell one address in one way', () => {
    const spell = (address: string) => validClaim({ ...good, address }, 'r', '', anyone).address;
    assert.equal(spell('[2001:DB8:0:0::0001]:80'), '[2001:db8::1]:80');
    assert.equal(spell('Backend-1.Example:80'), 'backend-1.example:80');
  });

  const bad: [string, Partial<Claim>, string][] = [
    ['no address', { address: '' }, 'registration.address'],
    ['no port', { address: '10.0.0.1' }, 'registration.address'],
    ['port 0', { address: '10.0.0.1:0' }, 'registration.address'],
    ['port 65536', { address: '10.0.0.1:65536' }, 'registration.address'],
    ['a URL', { address: 'http://10.0.0.1:80' }, 'registration.address'],
    ['IPv6 without brackets', { address: '::1:80' }, 'registration.address'],
    ['a zone index', { address: '[fe80::1%eth0]:80' }, 'registration.address'],
    ['a mistyped IPv4', { address: '10.0.0.256:80' }, 'registration.address'],
    ['a space', { address: 'a b:80' }, 'registration.address'],
    ['a line break', { address: 'a:80\r\n' }, 'registration.address'],
    ['a long host', { address: `${'a.'.repeat(200)}b:80` }, 'registration.address'],
    ['a space in the id', { id: 'a b' }, 'registration.id'],
    ['an escape in the id', { id: '\u001b[2J' }, 'registration.id'],
    ['a long id', { id: 'x'.repeat(257) }, 'registration.id'],
    ['no service', { services: [] }, 'registration.services'],
    ['an empty service', { services: [''] }, 'registration.services[0]'],
    ['a path for a service', { services: ['a.B', '/a.B/C'] }, 'registration.services[1]'],
    ['a long service', { services: ['a'.repeat(257)] }, 'registration.services[0]'],
    [
      'many services',
      { services: Array.from({ length: 257 }, (_, i) => `a.S${i}`) },
      'registration.services',
    ],
    ['NaN weight', { weight: Number.NaN }, 'registration.weight'],
    ['negative weight', { weight: -1 }, 'registration.weight'],
    ['infinite weight', { weight: Number.POSITIVE_INFINITY }, 'registration.weight'],
    ['denormal weight', { weight: 5e-324 }, 'registration.weight'],
    ['a long zone', { zone: 'z'.repeat(129) }, 'registration.zone'],
    ['a bell in the zone', { zone: '\u0007' }, 'registration.zone'],
    [
      'many labels',
      { labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ''])) },
      'registration.labels',
    ],
    ['an empty label', { labels: { '': 'x' } }, 'registration.labels'],
    ['a long label value', { labels: { k: 'v'.repeat(513) } }, 'registration.labels[k]'],
    ['a line break in a label', { labels: { k: 'a\nb' } }, 'registration.labels[k]'],
    ['max_concurrency', { maxConcurrency: 2 ** 32 - 1 }, 'registration.max_concurrency'],
  ];
  for (const [name, change, field] of bad) {
    it(`refuse ${name}`, () => assert.deepEqual(claimed(change), [field]));
  }

  it('tell all that is wrong at once, up to a bound', () => {
    assert.deepEqual(claimed({ id: ' ', weight: -1, services: [] }).sort(), [
      'registration.id',
      'registration.services',
      'registration.weight',
    ]);
    assert.equal(claimed({ services: Array.from({ length: 200 }, () => '') }).length, 16);
  });

  it('may be limited to networks', () => {
    const allow = allowBackends(['10.0.0.0/8', 'fd00::/8']);
    const check = (address: string, peer = '') =>
      violations(() => validClaim({ ...good, address }, 'r', peer, allow));
    assert.deepEqual(check('10.1.2.3:80'), []);
    assert.deepEqual(check('[fd00::1]:80'), []);
    assert.deepEqual(check('11.0.0.1:80'), ['r.address']);
    assert.deepEqual(check('[::1]:80'), ['r.address']);
    assert.deepEqual(check('db.internal:80'), ['r.address']);
    assert.deepEqual(check(':80', '127.0.0.1'), ['r.address']);
    assert.deepEqual(check('[::ffff:11.0.0.1]:80'), ['r.address']);
    assert.throws(() => allowBackends(['10.0.0.0']), /CIDR/);
  });
});

describe('loads', () => {
  const load = (change: Partial<OrcaLoadReport>, windowMs?: number) =>
    violations(() =>
      validLoad(
        OrcaLoadReport.fromPartial({ cpuUtilization: 0.5, rpsFractional: 10, ...change }),
        windowMs === undefined ? undefined : durationOf(windowMs),
        'load',
      ),
    );

  it('become numbers', () => {
    const report = OrcaLoadReport.fromPartial({
      cpuUtilization: 0.5,
      applicationUtilization: 0.7,
      rpsFractional: 12,
      eps: 1,
      namedMetrics: { in_flight: 3, other: 9 },
    });
    assert.deepEqual(validLoad(report, durationOf(500), 'load'), {
      inFlight: 3,
      utilization: 0.7,
      rps: 12,
      eps: 1,
      windowMs: 500,
    });
    const silent = validLoad(OrcaLoadReport.fromPartial({ rps: 7n }), undefined, 'load');
    assert.deepEqual(silent, { inFlight: Number.NaN, utilization: 0, rps: 7, eps: 0, windowMs: Number.NaN });
  });

  for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300]) {
    it(`refuse ${value} in every field`, () => {
      assert.deepEqual(load({ cpuUtilization: value }), ['load.cpu_utilization']);
      assert.deepEqual(load({ applicationUtilization: value }), ['load.application_utilization']);
      assert.deepEqual(load({ memUtilization: value }), ['load.mem_utilization']);
      assert.deepEqual(load({ rpsFractional: value }), ['load.rps_fractional']);
      assert.deepEqual(load({ eps: value }), ['load.eps']);
      assert.ok(load({ namedMetrics: { in_flight: value } }).includes('load.named_metrics[in_flight]'));
    });
  }

  it('refuse maps that are too large or hold what is no number, and bad windows', () => {
    const many = Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`m${i}`, 1]));
    assert.deepEqual(load({ namedMetrics: many }), ['load.named_metrics']);
    assert.deepEqual(load({ utilization: many }), ['load.utilization']);
    assert.deepEqual(load({ requestCost: { x: Number.NaN } }), ['load.request_cost']);
    assert.deepEqual(load({ namedMetrics: { ['n'.repeat(300)]: 1 } }), ['load.named_metrics']);
    assert.deepEqual(load({}, 0), ['window']);
    assert.deepEqual(load({}, -5), ['window']);
    assert.deepEqual(load({}, 1e12), ['window']);
  });
});

describe('requests', () => {
  it('of picks', () => {
    const pick = (change: Partial<PickServerRequest>) =>
      violations(() => validPick(PickServerRequest.fromPartial({ service: 'a.B', ...change })));
    assert.deepEqual(pick({}), []);
    assert.deepEqual(pick({ excludeIds: Array.from({ length: 32 }, () => 'x') }), []);
    assert.deepEqual(pick({ service: '' }), ['service']);
    assert.deepEqual(pick({ service: 'x'.repeat(300) }), ['service']);
    assert.deepEqual(pick({ excludeIds: Array.from({ length: 33 }, () => 'x') }), ['exclude_ids']);
    assert.deepEqual(pick({ excludeIds: ['x'.repeat(300)] }), ['exclude_ids']);
    assert.deepEqual(pick({ hashKey: 'k'.repeat(1025) }), ['hash_key']);
    assert.deepEqual(pick({ method: 'm'.repeat(600) }), ['method']);
    assert.deepEqual(pick({ zone: 'a b' }), ['zone']);
  });

  it('of watches', () => {
    const watch = (change: Parameters<typeof WatchServersRequest.fromPartial>[0]) =>
      validWatch(WatchServersRequest.fromPartial({ service: 'a.B', ...change }), 1000);
    assert.equal(watch({}), 1000);
    assert.equal(watch({ minInterval: durationOf(0) }), 1000);
    assert.equal(watch({ minInterval: durationOf(1) }), CONTROL.minWatchIntervalMs);
    assert.equal(watch({ minInterval: durationOf(2500) }), 2500);
    assert.deepEqual(
      violations(() => watch({ minInterval: durationOf(-1) })),
      ['min_interval'],
    );
    assert.deepEqual(
      violations(() => watch({ service: '' })),
      ['service'],
    );
    assert.deepEqual(
      violations(() => watch({ clientId: 'c'.repeat(300) })),
      ['client_id'],
    );
  });

  it('of operators', () => {
    assert.deepEqual(
      violations(() => validId('id', '')),
      ['id'],
    );
    assert.deepEqual(
      violations(() => validService('service', 'a..b')),
      ['service'],
    );
    assert.deepEqual(
      violations(() => validWeight('weight', Number.NaN)),
      ['weight'],
    );
    assert.deepEqual(
      violations(() => validWeight('weight', 0)),
      [],
    );
    assert.equal(validDuration('timeout', undefined, 1000, 7), 7);
    assert.deepEqual(
      violations(() => validDuration('timeout', { seconds: 0n, nanos: 2e9 }, 1e4, 0)),
      ['timeout'],
    );
    assert.equal(validCause('cause', '', 'missing'), 'missing');
    assert.equal(validCause('cause', 'a\u001b[31mb\n', 'x'), 'a [31mb ');
    assert.deepEqual(
      violations(() => validCause('cause', 'c'.repeat(600), '')),
      ['cause'],
    );
  });
});

describe('any input', () => {
  const seed = Number(process.env.HEAPMESH_SEED ?? Math.floor(Math.random() * 2 ** 31));
  it(`is refused with INVALID_ARGUMENT or comes out finite and bounded (seed ${seed})`, () => {
    const anyText = fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 600 }));
    const claims = fc.record({
      id: anyText,
      address: fc.oneof(
        anyText,
        fc.constant(':80'),
        fc.ipV6().map(ip => `[${ip}]:80`),
        fc.ipV4().map(ip => `${ip}:80`),
      ),
      services: fc.array(fc.oneof(anyText, fc.constant('a.B')), { maxLength: 5 }),
      weight: fc.double(),
      zone: anyText,
      labels: fc.dictionary(anyText, anyText, { maxKeys: 5 }),
      maxConcurrency: fc.nat(),
      standby: fc.boolean(),
    });
    fc.assert(
      fc.property(claims, anyText, (claim, peer) => {
        const bad = violations(() => {
          const spec = validClaim(claim, 'r', peer === '' ? '' : '192.0.2.1', anyone);
          assert.ok(spec.weight >= CONTROL.minWeight && spec.weight <= CONTROL.maxWeight);
          assert.notEqual(spec.id, '');
          assert.equal(typeof parseHostPort(spec.address), 'object', spec.address);
        });
        assert.ok(bad.length <= 16);
      }),
      { seed, numRuns: 2000 },
    );
  });
});
