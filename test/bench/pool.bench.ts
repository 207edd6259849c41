/**
 * Pools with the whole score: pick and completion, load reports, ticks, and what several pools, zones,
 * hash keys and exclusions cost.
 *
 * Servers have reported capacities of 8 kinds and calls of others, so that every term of the score is at
 * work. The clock is read once for 32 calls, as a turn of the event loop does, and runs at 100,000 calls
 * a second. One call in 1,000 fails.
 */
import { Outcome } from '../../src/core/core.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import type { PickWant, Pool } from '../../src/core/pool.ts';
import { Rig, SERVICE, sample, spec } from '../core/rig.ts';
import { generator } from '../support/seed.ts';
import { type BenchCase, BenchSuite } from './harness.ts';

const CALLS = 16_384;
const CALLS_A_TURN = 32;
const TURN_MS = CALLS_A_TURN / 100;
const SIZES = [10, 1_000, 100_000];
/** Pairs a second to reach. */
const TARGETS: Readonly<Record<number, number>> = { 1000: 3e6, 100000: 1.5e6 };

const count = (size: number): string => size.toLocaleString('en');

interface Setting {
  readonly services?: readonly string[];
  readonly zones?: number;
}

/** A mesh of warm servers that have reported for a while. */
function meshOf(size: number, { services = [SERVICE], zones = 1 }: Setting = {}): Rig {
  const rig = new Rig();
  const random = generator(size);
  for (let n = 0; n < size; n++) {
    rig.addWarm(spec(`server-${n}`, { services, zone: zones > 1 ? `z${n % zones}` : '' }));
  }
  const { mesh } = rig;
  for (let round = 0; round < 3; round++) {
    for (let slot = 0; slot < size; slot++) {
      const rps = 40 + 20 * (slot % 8);
      mesh.report(
        slot,
        sample({ inFlight: Math.floor(random() * 4), utilization: 0.5, rps, eps: 0 }),
        rig.now,
      );
    }
    rig.advance(1_000);
  }
  return rig;
}

interface Calls {
  readonly kind?: LeaseKind;
  /** Calls in flight in all; 0: one at a time, ended at once. */
  readonly open: number;
  /** Which of the calls in flight ends when another begins. */
  readonly ends?: 'oldest' | 'any';
  readonly want?: PickWant;
}

function shuffle(order: Int32Array): void {
  const random = generator(order.length);
  for (let n = order.length - 1; n > 0; n--) {
    const other = Math.floor(random() * (n + 1));
    const here = order[n] as number;
    order[n] = order[other] as number;
    order[other] = here;
  }
}

/** Calls that overlap: when one begins, another one ends. */
function calls(rig: Rig, { kind = LeaseKind.RELAYED, open, ends = 'oldest', want }: Calls): () => number {
  const { mesh, pool } = rig;
  const { leases } = mesh;
  const ring = new Int32Array(Math.max(1, open));
  let now = rig.now;
  for (let n = 0; n < open; n++) ring[n] = pool.pick(now, kind, want);
  const order = Int32Array.from(ring, (_, n) => n);
  if (ends === 'any') shuffle(order);
  let next = 0;
  let n = 0;
  return () => {
    for (let turn = 0; turn < CALLS / CALLS_A_TURN; turn++) {
      now += TURN_MS;
      for (let call = 0; call < CALLS_A_TURN; call++) {
        const lease = pool.pick(now, kind, want);
        let ended = lease;
        if (open > 0) {
          const at = order[next] as number;
          ended = ring[at] as number;
          ring[at] = lease;
          next = next + 1 === open ? 0 : next + 1;
        }
        const outcome = ++n % 1_000 === 0 ? Outcome.FAILURE : Outcome.SUCCESS;
        leases.complete(ended, now, outcome, 15 + (n & 15));
      }
      if (kind === LeaseKind.LEASED) leases.expire(now, 2 * CALLS_A_TURN);
    }
    return n;
  };
}

function reports(rig: Rig, size: number): () => void {
  const { mesh } = rig;
  const random = generator(size + 1);
  const samples = Array.from({ length: 1_024 }, () =>
    sample({ inFlight: Math.floor(random() * 8), utilization: random(), rps: 40 + 200 * random(), eps: 0 }),
  );
  let now = rig.now;
  let slot = 0;
  return () => {
    for (let n = 0; n < CALLS; n++) {
      if (n % CALLS_A_TURN === 0) now += (1_000 * CALLS_A_TURN) / size;
      mesh.report(slot, samples[n & 1_023] as ReturnType<typeof sample>, now);
      slot = slot + 1 === size ? 0 : slot + 1;
    }
  };
}

function ticks(rig: Rig): () => void {
  return () => rig.advance(50);
}

const pair = (name: string, run: () => unknown, target?: number): BenchCase => ({
  name,
  unit: 'pair',
  operations: CALLS,
  run,
  ...(target === undefined ? {} : { target }),
});

const suite = new BenchSuite('pool');

for (const size of SIZES) {
  const group = `pick and complete, ${count(size)} servers`;
  if (suite.wants(group)) {
    await suite.compare(group, [
      pair('one call at a time', calls(meshOf(size), { open: 0 }), TARGETS[size]),
      pair('3 calls in flight a server', calls(meshOf(size), { open: 3 * size }), TARGETS[size]),
      pair('the same, ending in any order', calls(meshOf(size), { open: 3 * size, ends: 'any' })),
      pair('the same, leased', calls(meshOf(size), { open: 3 * size, kind: LeaseKind.LEASED })),
    ]);
  }
}

for (const size of SIZES) {
  const group = `reports and ticks, ${count(size)} servers`;
  if (suite.wants(group)) {
    await suite.compare(group, [
      { name: 'report', unit: 'report', operations: CALLS, run: reports(meshOf(size), size) },
      { name: 'tick of 50 ms', unit: 'tick', operations: 1, run: ticks(meshOf(size)) },
    ]);
  }
}

const services = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(letter => `echo.v1.Service${letter.toUpperCase()}`);
const several = 'a server in several pools, 1,000 servers';
if (suite.wants(several)) {
  const eight = [SERVICE, ...services];
  await suite.compare(several, [
    pair('pair, 1 pool', calls(meshOf(1_000), { open: 3_000 })),
    pair('pair, 2 pools', calls(meshOf(1_000, { services: eight.slice(0, 2) }), { open: 3_000 })),
    pair('pair, 8 pools', calls(meshOf(1_000, { services: eight }), { open: 3_000 })),
    { name: 'report, 1 pool', unit: 'report', operations: CALLS, run: reports(meshOf(1_000), 1_000) },
    {
      name: 'report, 8 pools',
      unit: 'report',
      operations: CALLS,
      run: reports(meshOf(1_000, { services: eight }), 1_000),
    },
  ]);
}

for (const size of [10, 1_000]) {
  const group = `picks with a wish, ${count(size)} servers`;
  if (!suite.wants(group)) continue;
  const best = (rig: Rig): Pool => rig.pool;
  const exclude = (rig: Rig): number[] =>
    best(rig)
      .heap(rig.now)
      .nodes.slice(0, 4)
      .map(node => node.slot);
  const plain = meshOf(size);
  const excluding = meshOf(size);
  const zoned = meshOf(size, { zones: 3 });
  const local = meshOf(size, { zones: 3 });
  const hashed = meshOf(size);
  await suite.compare(group, [
    pair('no wish', calls(plain, { open: size })),
    pair('4 excluded', calls(excluding, { open: size, want: { exclude: exclude(excluding) } })),
    pair('no wish, 3 zones', calls(zoned, { open: size })),
    pair('own zone of 3', calls(local, { open: size, want: { zone: 'z1' } })),
    pair('hash key', calls(hashed, { open: size, want: { hashKey: 'customer-4711' } })),
  ]);
}

suite.finish();
