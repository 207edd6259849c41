/** The queue of a pool: its order, whom it lets in, and what that is worth under overload. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../src/core/core.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import { type Waiter, WaitFailure, WaitQueue } from '../../src/core/wait-queue.ts';
import { generator } from '../support/seed.ts';
import { Rig, SERVICE, spec } from './rig.ts';

/** A queue, and what became of those that waited in it. */
function recorded() {
  const queue = new WaitQueue();
  const log: string[] = [];
  let room = 0;
  const waiter = (name: string): Waiter => ({
    turn: () => {
      if (room === 0) return false;
      room--;
      log.push(`${name} goes`);
      return true;
    },
    tooLate: () => void log.push(`${name} is late`),
    poolEnded: () => void log.push(`${name} has no pool`),
  });
  const give = (count: number, now: number): void => {
    room += count;
    queue.serve(now);
    queue.verify();
  };
  return { queue, log, waiter, give };
}

/** Ten calls a second. */
const TEN = { slots: 1, residenceMs: 100 };

test('earliest deadline first, equal ones in the order in which they came', () => {
  const { queue, log, waiter, give } = recorded();
  for (const [name, deadline] of Object.entries({ a: 5_000, b: 3_000, c: 5_000, d: 4_000, e: 5_000 })) {
    assert.ok(queue.enter(waiter(name), deadline, 0, TEN) >= 0);
  }
  give(2, 10);
  assert.deepEqual(log, ['b goes', 'd goes']);
  // One that found nothing keeps its place before those that came after it.
  give(0, 20);
  give(3, 30);
  assert.deepEqual(log.slice(2), ['a goes', 'c goes', 'e goes']);
});

test('a call that cannot make its deadline, or meets a full queue, is refused at once with the time to stay away', () => {
  const { queue, waiter, give } = recorded();
  queue.limit = 6;
  for (let i = 0; i < 4; i++) assert.ok(queue.enter(waiter(`${i}`), 5_000, 0, TEN) >= 0);
  // One turn of a tenth of a second and two for bad luck, then twice the service time: nobody goes before it.
  assert.ok(queue.enter(waiter('hasty'), 501, 0, TEN) >= 0);
  assert.equal(queue.enter(waiter('late'), 150, 0, TEN), WaitFailure.TOO_LATE);
  assert.ok(Math.abs(queue.pushbackMs - 350) < 1, `${queue.pushbackMs}`);
  assert.ok(queue.enter(waiter('5'), 5_000, 0, TEN) >= 0);
  assert.equal(queue.enter(waiter('full'), 9_000, 0, TEN), WaitFailure.OVERFULL);
  assert.ok(Math.abs(queue.pushbackMs - 60) < 1, `${queue.pushbackMs}`);
  assert.equal(queue.refused, 2);
  give(1, 1);
  assert.ok(queue.enter(waiter('6'), 5_000, 1, TEN) >= 0);
});

test('who cannot be served in time any more is sent away at the head, and does not keep the others', () => {
  const { queue, log, waiter, give } = recorded();
  queue.enter(waiter('a'), 1_000, 0, TEN);
  queue.enter(waiter('b'), 1_100, 0, TEN);
  queue.enter(waiter('c'), 5_000, 0, TEN);
  // Mean 100 ms, deviation 50 ms.
  queue.learn(100);
  queue.dropLate(740);
  assert.deepEqual(log, []);
  give(1, 760);
  assert.deepEqual(log, ['a is late', 'b goes']);
  assert.deepEqual([queue.dropped, queue.served, queue.size], [1, 1, 1]);
  // Alone it has nobody to leave a server to.
  queue.dropLate(4_800);
  assert.equal(queue.size, 1);
  queue.dropLate(4_901);
  assert.deepEqual(log.slice(2), ['c is late']);
});

test('a random life: nobody is lost, nobody goes twice, the order is that of a sorted list', () => {
  const random = generator();
  const queue = new WaitQueue();
  queue.limit = 50;
  const model = new Map<number, { deadline: number; order: number }>();
  let room = 0;
  let order = 0;
  let now = 0;
  for (let step = 0; step < 20_000; step++) {
    now += random() * 3;
    const what = random();
    if (what < 0.5) {
      const deadline = now + 1 + Math.floor(random() * 20) * 50;
      let ticket = -1;
      const mine = order++;
      const first = (): boolean => {
        const best = Math.min(...[...model.values()].map(each => each.deadline));
        const ties = [...model.values()].filter(each => each.deadline === best).map(each => each.order);
        const own = model.get(ticket) as { deadline: number; order: number };
        return own.deadline === best && own.order === Math.min(...ties);
      };
      const gone = (): void => assert.ok(model.delete(ticket));
      ticket = queue.enter(
        {
          turn: () => {
            assert.ok(first(), 'another one was before it');
            if (room === 0) return false;
            room--;
            gone();
            return true;
          },
          tooLate: at => {
            assert.ok(deadline <= at, 'sent away too early');
            gone();
          },
          poolEnded: gone,
        },
        deadline,
        now,
        random() < 0.1 ? undefined : TEN,
      );
      if (ticket >= 0) model.set(ticket, { deadline, order: mine });
    } else if (what < 0.6) {
      const [ticket] = model.keys();
      if (ticket !== undefined && model.delete(ticket)) queue.leave(ticket);
    } else {
      room = Math.floor(random() * 3);
      queue.serve(now);
      if (model.size > 0) assert.equal(room, 0, 'room is left, and somebody waits');
    }
    assert.equal(queue.size, model.size);
    if (step % 100 === 0) queue.verify();
  }
  queue.end(now);
  assert.equal(model.size, 0);
});

interface Load {
  readonly random: () => number;
  readonly ratio: number;
  readonly service: () => number;
  readonly timeout: () => number;
  readonly seconds: number;
  /** A call that is late frees its server. */
  readonly cancels?: boolean;
}

/** Poisson calls on four servers of four slots behind one mesh. */
function overload({ random, ratio, service, timeout, seconds, cancels = false }: Load) {
  const rig = new Rig({ random });
  for (const id of ['a', 'b', 'c', 'd']) rig.addWarm(spec(id, { maxConcurrency: 4 }));
  const { mesh, pool } = rig;
  const meanMs = 20;
  const capacity = (16 * 1_000) / meanMs;
  const events: { at: number; run: () => void }[] = [];
  const at = (time: number, run: () => void): void => {
    let low = 0;
    let high = events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((events[middle] as { at: number }).at >= time) low = middle + 1;
      else high = middle;
    }
    events.splice(low, 0, { at: time, run });
  };
  const start = rig.now;
  const end = start + seconds * 1_000;
  const measured = start + 2_000;
  let good = 0;
  let missed = 0;
  let most = 0;
  let atOnce = 0;
  let refusedLate = 0;
  const serve = (lease: number, deadline: number): void => {
    most = Math.max(most, mesh.leases.open);
    const begun = rig.now;
    const took = Math.min(service(), cancels ? deadline - begun + 0.01 : Number.POSITIVE_INFINITY);
    at(begun + took, () => {
      const inTime = rig.now <= deadline;
      if (rig.now >= measured && rig.now < end && inTime) good++;
      if (rig.now >= measured && rig.now < end && !inTime) missed++;
      mesh.leases.complete(lease, rig.now, inTime ? Outcome.SUCCESS : Outcome.NEUTRAL, rig.now - begun);
      mesh.serveWaiting(rig.now);
    });
  };
  const arrive = (): void => {
    if (rig.now < end) at(rig.now - (Math.log(1 - random()) * 1_000) / (capacity * ratio), arrive);
    const deadline = rig.now + timeout();
    const lease = pool.queue.size > 0 ? -2 : pool.pick(rig.now, LeaseKind.RELAYED);
    if (lease >= 0) {
      serve(lease, deadline);
      return;
    }
    const waiter: Waiter = {
      turn: now => {
        const mine = pool.pick(now, LeaseKind.RELAYED);
        if (mine >= 0) serve(mine, deadline);
        return mine >= 0;
      },
      tooLate: () => void refusedLate++,
      poolEnded: () => assert.fail('the pool is there'),
    };
    if (pool.queue.enter(waiter, deadline, rig.now, pool.expectation()) < 0) atOnce++;
  };
  const tick = (): void => {
    mesh.tick(rig.now);
    if (rig.now < end) at(rig.now + 50, tick);
  };
  at(start, arrive);
  at(start, tick);
  for (let event = events.pop(); event !== undefined; event = events.pop()) {
    rig.now = event.at;
    event.run();
  }
  const share = good / ((capacity * (end - measured)) / 1_000);
  rig.verify();
  pool.queue.verify();
  assert.equal(mesh.leases.open, 0);
  assert.equal(pool.service, SERVICE);
  return { share, missed, most, atOnce, refusedLate, good };
}

test('at 150 % load goodput stays at 95 % of capacity and more, and no server has more than its limit', t => {
  const random = generator();
  const exponential = (): number => -Math.log(1 - random()) * 20;
  const cases = {
    'exponential, deadlines of 1 s': { service: exponential, timeout: () => 1_000 },
    'exponential, deadlines from 100 ms to 2 s': {
      service: exponential,
      timeout: () => 100 + random() * 1_900,
    },
    'constant, deadlines of 200 ms': { service: () => 20, timeout: () => 200 },
    'constant, deadlines of 1 s': { service: () => 20, timeout: () => 1_000 },
    'heavy tails, deadlines of 500 ms': {
      // Log-normal, σ 1.5, mean 20 ms.
      service: () => {
        const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
        return 20 * Math.exp(1.5 * normal - 1.125);
      },
      timeout: () => 500,
      cancels: true,
    },
  };
  for (const [name, load] of Object.entries(cases)) {
    const result = overload({ random, ratio: 1.5, seconds: 42, ...load });
    t.diagnostic(`${name}: ${JSON.stringify(result)}`);
    assert.equal(result.most, 16, name);
    assert.ok(result.share >= 0.95, `${name}: goodput ${result.share}`);
  }
});
