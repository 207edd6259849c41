import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CallerTable, sharedTable } from '../../src/client/table.ts';
import type { ServerState, ServerView } from '../../src/core/core.ts';
import { Outcome } from '../../src/core/core.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import { durationOf } from '../../src/grpc/duration.ts';
import { generator, SEED } from '../support/seed.ts';
import { loadOf, SERVICE } from './support.ts';

function view(id: string, state: ServerState = 'ACTIVE'): ServerView {
  const spec = {
    id,
    address: '127.0.0.1:1',
    services: [SERVICE],
    weight: 1,
    zone: '',
    labels: {},
    maxConcurrency: 0,
    standby: false,
  };
  return {
    spec,
    state,
    cause: '',
    stateTime: 0,
    sources: [],
    healthy: true,
    weightOverridden: false,
    version: 1,
  };
}

function rig(random: () => number = () => 0.5) {
  const time = { now: 1_000 };
  const table = new CallerTable({ clock: () => time.now, random });
  const pool = table.openPool(SERVICE);
  const row = (id: string, state: ServerState = 'ACTIVE') => {
    const held = table.hold(id);
    if (state === 'WARMING') table.beginWarmUp(held);
    pool.add(held.slot, view(id, state), held.newcomer, time.now);
    return held;
  };
  return { time, table, pool, row };
}

describe('the load table of a caller', () => {
  it('draws 1/B of the newcomers for the root', () => {
    const seed = SEED;
    const { table } = rig(generator(seed));
    for (const balancers of [1, 4, 20]) {
      table.balancers = balancers;
      let drawn = 0;
      const newcomers = 4_000;
      for (let i = 0; i < newcomers; i++) {
        const row = table.hold(`n${balancers}-${i}`);
        table.beginWarmUp(row);
        if (row.newcomer) drawn++;
        table.drop(row);
      }
      const expected = newcomers / balancers;
      // Four standard deviations of a binomial distribution.
      const slack = 4 * Math.sqrt(expected * (1 - 1 / balancers));
      assert.ok(
        Math.abs(drawn - expected) <= slack,
        `seed ${seed}: ${drawn} of ${newcomers} for B = ${balancers}`,
      );
    }
  });

  it('sends a newcomer its first call at once, and the next only after a proof', () => {
    const { table, pool, row, time } = rig();
    row('old');
    const newcomer = row('new', 'WARMING');
    const first = pool.pick(time.now, LeaseKind.RELAYED);
    assert.equal(table.leases.slotOf(first), newcomer.slot);
    for (let i = 0; i < 5; i++) {
      assert.notEqual(table.leases.slotOf(pool.pick(time.now, LeaseKind.RELAYED)), newcomer.slot);
    }
    table.leases.complete(first, time.now, Outcome.SUCCESS, 1);
    assert.equal(table.leases.slotOf(pool.pick(time.now, LeaseKind.RELAYED)), newcomer.slot);
  });

  it('does not send a newcomer that failed its next call at once, whatever the list says of it', () => {
    const { table, pool, row, time } = rig();
    row('old');
    const newcomer = row('new', 'WARMING');
    table.leases.complete(pool.pick(time.now, LeaseKind.RELAYED), time.now, Outcome.FAILURE, 1);
    pool.change(newcomer.slot, view('new', 'WARMING'), newcomer.newcomer, time.now);
    assert.notEqual(table.leases.slotOf(pool.pick(time.now, LeaseKind.RELAYED)), newcomer.slot);
  });

  it('ends a warm-up by its own proof where no balancer says so, and tells', () => {
    const { table, pool, row, time } = rig();
    const newcomer = row('new', 'WARMING');
    const told: string[] = [];
    const stop = table.onWarm(one => told.push(one.id));
    for (let i = 0; i < 20; i++) {
      table.leases.complete(pool.pick(time.now, LeaseKind.RELAYED), time.now, Outcome.SUCCESS, 1);
      time.now += 1;
    }
    table.tick(time.now);
    assert.deepEqual(told, [], 'time counts too');
    time.now += 10_000;
    table.tick(time.now);
    assert.deepEqual(told, ['new']);
    assert.equal(newcomer.warming, false);
    stop();
  });

  it('takes a load over once, whoever tells it again', () => {
    const { table, row } = rig();
    const server = row('a');
    const load = loadOf('a', { sequence: 3n, inFlight: 7 });
    table.adopt(server, load, 'lb-1', 0, false);
    table.adopt(server, load, 'lb-1', 0, false);
    assert.equal(table.loads.reports, 1);
    table.adopt(server, loadOf('a', { sequence: 4n }), 'lb-1', 0, false);
    table.adopt(server, loadOf('a', { sequence: 4n }), 'lb-2', 0, false);
    assert.equal(table.loads.reports, 3);
    table.adopt(server, loadOf('a', { sequence: 0n }), 'lb-1', 0, false);
    assert.equal(table.loads.reports, 3, 'sequence 0 is no report');
  });

  it('does not take an older load of another balancer over', () => {
    const { table, row } = rig();
    const server = row('a');
    table.adopt(server, loadOf('a', { sequence: 5n, inFlight: 7, age: durationOf(100) }), 'lb-1', 0, false);
    table.adopt(server, loadOf('a', { sequence: 8n, inFlight: 1, age: durationOf(900) }), 'lb-2', 0, false);
    assert.equal(table.loads.others[server.slot], 7);
    table.adopt(server, loadOf('a', { sequence: 9n, inFlight: 2, age: durationOf(50) }), 'lb-2', 0, false);
    assert.equal(table.loads.others[server.slot], 2);
  });

  it('bears whatever a balancer tells of weight and load', () => {
    const { table, pool, row, time } = rig();
    const rows = [row('a'), row('b'), row('c')];
    const odd = [Number.NaN, Number.POSITIVE_INFINITY, -1, 1e308, 5e-324];
    for (const [n, value] of odd.entries()) {
      const server = rows[n % 3] as (typeof rows)[number];
      table.describe(server, value, value);
      pool.change(server.slot, view(server.id), false, time.now);
      const fields = { inFlight: value, utilization: value, capacity: value, others: value, failure: value };
      table.adopt(server, loadOf(server.id, { sequence: BigInt(n + 1), ...fields }), 'lb-1', 0, false);
      time.now += 500;
      table.tick(time.now);
      pool.verify();
    }
    assert.ok(pool.pick(time.now, LeaseKind.RELAYED) >= 0);
  });

  it('forgets what it knew of a server that began a new life', () => {
    const { table, row } = rig();
    const server = row('a');
    table.adopt(server, loadOf('a', { sequence: 9n, capacity: 500, inFlight: 7 }), 'lb-1', 0, false);
    assert.equal(table.loads.capacity[server.slot], 500);
    table.adopt(server, loadOf('a', { sequence: 1n, inFlight: 1 }), 'lb-1', 0, true);
    assert.equal(table.loads.capacity[server.slot], 0);
  });

  it('takes reports for late by the interval in which it gets them', () => {
    const { table, row } = rig();
    const interval = durationOf(100);
    const often = row('a');
    const seldom = row('b');
    table.adopt(often, loadOf('a', { interval }), 'lb-1', 0, false);
    table.adopt(seldom, loadOf('b', { interval }), 'lb-1', 5_000, false);
    assert.equal(table.loads.intervalMs[often.slot], 100);
    assert.equal(table.loads.intervalMs[seldom.slot], 5_000);
  });

  it('does not charge its own calls again that a report tells of', () => {
    const { table, pool, row, time } = rig();
    const server = row('a');
    for (let i = 0; i < 5; i++) pool.pick(time.now, LeaseKind.RELAYED);
    table.adopt(server, loadOf('a', { inFlight: 8 }), 'lb-1', 0, false);
    assert.equal(table.loads.relayed(server.slot), 5);
    assert.equal(table.loads.others[server.slot], 3);
  });

  it('counts a call of one channel for the others', () => {
    const { table, pool, row, time } = rig();
    const a = row('a');
    const b = row('b');
    const second = table.openPool(SERVICE);
    for (const one of [a, b]) second.add(one.slot, view(one.id), false, time.now);
    const first = table.leases.slotOf(pool.pick(time.now, LeaseKind.RELAYED));
    assert.notEqual(table.leases.slotOf(second.pick(time.now, LeaseKind.RELAYED)), first);
    pool.verify();
    second.verify();
    table.closePool(second);
    assert.equal(table.loads.relayed(a.slot), 1);
    pool.verify();
    table.closePool(pool);
  });

  it('keeps a row as long as somebody holds it, and lets late endings of the former be', () => {
    const { table, pool, row, time } = rig();
    const first = row('a');
    assert.equal(table.hold('a'), first);
    table.drop(first);
    assert.equal(table.loads.used, 1);
    const lease = pool.pick(time.now, LeaseKind.RELAYED);
    pool.remove(first.slot);
    table.drop(first);
    assert.equal(table.loads.used, 0);
    const next = row('b');
    assert.equal(next.slot, first.slot);
    table.leases.complete(lease, time.now, Outcome.FAILURE, 1);
    assert.equal(table.loads.relayed(next.slot), 0);
    assert.equal(table.loads.failureNow(next.slot, time.now), 0);
  });

  it('is one for a set of balancers, in whatever order', () => {
    const first = sharedTable(['h:1', 'h:2']);
    const second = sharedTable(['h:2', 'h:1']);
    const other = sharedTable(['h:1']);
    assert.equal(first.table, second.table);
    assert.notEqual(first.table, other.table);
    for (const one of [first, second, other]) one.giveBack();
    const later = sharedTable(['h:1', 'h:2']);
    assert.notEqual(later.table, first.table);
    later.giveBack();
  });
});
