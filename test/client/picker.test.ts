import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import type { Connections } from '../../src/client/connections.ts';
import { Connectivity, PickKind, type PickResult } from '../../src/client/grpc.ts';
import { HeapPicker } from '../../src/client/picker.ts';
import { CallerTable, type Row } from '../../src/client/table.ts';
import { CALLER_LIMITS } from '../../src/core/limits.ts';
import { eventually, SERVICE } from './support.ts';

describe('the picker of a channel', () => {
  let now: number;
  let table: CallerTable;
  let row: Row;
  let picker: HeapPicker;
  let connectivity: number;
  let asked: number;
  let ends: number;
  const refusal = { pickResultType: PickKind.QUEUE } as PickResult;
  const turn = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)));

  beforeEach(() => {
    now = 1_000;
    asked = ends = 0;
    connectivity = Connectivity.READY;
    table = new CallerTable({ clock: () => now, random: () => 0.5 });
    const pool = table.openPool(SERVICE);
    row = table.hold('a');
    const spec = {
      id: 'a',
      address: '127.0.0.1:1',
      services: [SERVICE],
      weight: 1,
      zone: '',
      labels: {},
      maxConcurrency: 0,
      standby: false,
    };
    const rest = { cause: '', stateTime: 0, sources: [], healthy: true, weightOverridden: false, version: 1 };
    pool.add(row.slot, { spec, state: 'ACTIVE', ...rest }, false, now);
    const connections = {
      at: () => ({ getConnectivityState: () => connectivity }),
      more: () => asked++,
    } as unknown as Connections;
    picker = new HeapPicker({
      table,
      pool,
      connections,
      zone: '',
      refuse: () => refusal,
      onEnd: () => ends++,
    });
  });

  const pick = () => picker.pick({ metadata: new grpc.Metadata(), extraPickInfo: {} });
  const inFlight = () => table.loads.relayed(row.slot);

  it('counts a call from its pick to its status, however long that takes', async () => {
    const picked = pick();
    assert.equal(picked.pickResultType, PickKind.COMPLETE);
    assert.equal(inFlight(), 1);
    picked.onCallStarted?.();
    // Even where its connection is lost: its status is on the way.
    connectivity = Connectivity.IDLE;
    now += 10 * CALLER_LIMITS.unstartedMs;
    await turn();
    assert.equal(inFlight(), 1);
    picked.onCallEnded?.(grpc.status.OK, '', new grpc.Metadata());
    assert.equal(inFlight(), 0);
    assert.equal(ends, 1);
    picked.onCallEnded?.(grpc.status.OK, '', new grpc.Metadata());
    assert.equal(table.leases.late, 1);
    assert.equal(inFlight(), 0);
  });

  it('lets a pick go that cannot become a call, since its connection is gone', async () => {
    pick();
    connectivity = Connectivity.IDLE;
    await turn();
    assert.equal(inFlight(), 0);
    assert.equal(table.loads.failureNow(row.slot, now), 0);
  });

  it('waits for call credentials, but not for ever', async () => {
    const picked = pick();
    await turn();
    assert.equal(inFlight(), 1);
    now += CALLER_LIMITS.unstartedMs + 1;
    await eventually(() => inFlight() === 0, 'the pick is let go');
    // It begins after all.
    picked.onCallStarted?.();
    picked.onCallEnded?.(grpc.status.UNAVAILABLE, '', new grpc.Metadata());
    assert.equal(inFlight(), 0);
  });

  it('learns from the status: a failure, a success, nothing', () => {
    const end = (status: number) => pick().onCallEnded?.(status, '', new grpc.Metadata());
    end(grpc.status.CANCELLED);
    assert.equal(table.loads.failureNow(row.slot, now), 0);
    end(grpc.status.UNAVAILABLE);
    const failed = table.loads.failureNow(row.slot, now);
    assert.ok(failed > 0);
    end(grpc.status.NOT_FOUND);
    assert.ok(table.loads.failureNow(row.slot, now) < failed);
  });

  it('asks for one more connection where the best server is busy', () => {
    for (let i = 0; i < CALLER_LIMITS.busyCalls; i++) pick();
    assert.equal(asked, 0);
    pick();
    assert.equal(asked, 1);
  });

  it('says what the channel says where there is nobody to pick', () => {
    for (const member of table.loads.membersOf(row.slot)) member.pool.remove(row.slot);
    assert.equal(pick(), refusal);
  });
});
