import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowAll, allowBackends } from '../../src/control/authorize.ts';
import { systemClock } from '../../src/control/clock.ts';
import { zeroCounters } from '../../src/control/counters.ts';
import { Lifecycle } from '../../src/control/lifecycle.ts';
import { Reporters } from '../../src/control/reporters.ts';
import type { Receiver, RpcError, StreamMethod } from '../../src/control/rpc.ts';
import type { ReportLoadRequest } from '../../src/gen/heapmesh/v1/load_report.ts';
import { Status } from '../../src/grpc/status.ts';
import { makeMesh, registration } from './rig.ts';

/** Report streams without a network, whose connections answer a PING when the test says so. */
function streams() {
  const mesh = makeMesh();
  const counters = zeroCounters();
  const shared = { mesh, clock: systemClock, counters };
  const settings = () => ({ reportGraceMs: 60_000, forgetAfterMs: 60_000 });
  const lifecycle = new Lifecycle({ ...shared, settings });
  const reporters = new Reporters({
    ...shared,
    lifecycle,
    authorize: allowAll,
    instanceId: 'lb-1',
    allow: allowBackends(undefined),
    reportIntervalMs: () => 1000,
    addresses: () => [],
    welcomesUnkept: false,
  });
  const method = reporters.method() as StreamMethod<ReportLoadRequest>;
  mesh.registry.onChange((id, before, after) => reporters.changed(id, before, after));
  const open = () => {
    const pings: ((answered: boolean) => void)[] = [];
    const ends: (RpcError | undefined)[] = [];
    const sink = { write: () => {}, end: (error?: RpcError) => ends.push(error) };
    const link = { ping: (_ms: number, done: (answered: boolean) => void) => pings.push(done) };
    const receiver: Receiver<ReportLoadRequest> = method.open(
      { host: '127.0.0.1', address: '127.0.0.1:1' },
      sink,
      link,
    );
    const register = (address: string) => {
      const kind = { $case: 'registration', value: registration({ address }) } as const;
      receiver.message({ kind, sequence: 0n, window: undefined });
    };
    return { receiver, register, pings, ends };
  };
  return { mesh, counters, open, stop: () => lifecycle.stop() };
}

const addressOf = ({ mesh }: ReturnType<typeof streams>) => mesh.registry.get('a')?.spec.address;

describe('two streams that want one id', () => {
  it('do not leave it with a newcomer that has gone before the PING was answered', () => {
    for (const answered of [true, false]) {
      const all = streams();
      const old = all.open();
      old.register('127.0.0.1:50');
      const newer = all.open();
      newer.register('127.0.0.1:60');
      newer.receiver.cancelled();
      old.receiver.cancelled();
      old.pings[0]?.(answered);
      assert.equal(addressOf(all), '127.0.0.1:50');
      all.stop();
    }
  });

  it('leave it with the newcomer where the older one ended while it was asked', () => {
    const all = streams();
    const old = all.open();
    old.register('127.0.0.1:50');
    const newer = all.open();
    newer.register('127.0.0.1:60');
    assert.equal(addressOf(all), '127.0.0.1:50');
    old.receiver.cancelled();
    old.pings[0]?.(false);
    assert.equal(addressOf(all), '127.0.0.1:60');
    assert.equal(all.mesh.registry.get('a')?.state, 'WARMING');
    newer.receiver.cancelled();
    all.stop();
  });

  it('leave it with the first of two newcomers, and the second asks again', () => {
    const all = streams();
    const old = all.open();
    old.register('127.0.0.1:50');
    const [one, two] = [all.open(), all.open()];
    one.register('127.0.0.1:60');
    two.register('127.0.0.1:70');
    old.pings[0]?.(false);
    assert.equal(addressOf(all), '127.0.0.1:60');
    assert.equal(old.ends[0]?.code, Status.ABORTED);
    old.pings[1]?.(false);
    assert.equal(one.pings.length, 1);
    one.pings[0]?.(true);
    assert.equal(addressOf(all), '127.0.0.1:60');
    assert.equal(two.ends[0]?.code, Status.ALREADY_EXISTS);
    all.stop();
  });
});
