/**
 * What an entry costs must not depend on how many servers there are, nor on how many own proposals wait.
 * Counted in operations on maps and sets, walks over them by their size: the same on every machine.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Body, Entry } from '../../src/core/entries.ts';
import { Held, server } from './registry-support.ts';

const COUNTED = ['get', 'set', 'has', 'add', 'delete'];
const WALKS = ['values', 'keys', 'entries', 'forEach', Symbol.iterator];

/** Operations on maps and sets while `run` runs. */
function operations(run: () => void): number {
  let count = 0;
  const restore: (() => void)[] = [];
  for (const prototype of [Map.prototype, Set.prototype] as object[]) {
    for (const name of [...COUNTED, ...WALKS]) {
      const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
      if (descriptor === undefined) continue;
      const walk = WALKS.includes(name);
      Object.defineProperty(prototype, name, {
        ...descriptor,
        value(this: { size: number }, ...args: unknown[]) {
          count += walk ? this.size + 1 : 1;
          return descriptor.value.apply(this, args);
        },
      });
      restore.push(() => Object.defineProperty(prototype, name, descriptor));
    }
  }
  try {
    run();
  } finally {
    for (const one of restore) one();
  }
  return count;
}

const claim = (i: number): Body => ({ kind: 'claim', source: 'stream', spec: server(`s${i}`) });
const active = (i: number): Body => ({
  kind: 'observe',
  id: `s${i}`,
  observation: { phase: 'active', healthy: true },
});
const drain = (i: number): Body => ({
  kind: 'drain',
  id: `s${i}`,
  by: 'operator',
  timeoutMs: 0,
  afterwards: 'stay',
});

function registered(count: number, by: string): Entry[] {
  return Array.from({ length: count }, (_, i) => ({
    position: i + 1,
    proposal: { origin: by, epoch: 1, n: i + 1, time: i, cause: 'registered', body: claim(i) },
  }));
}

/** Each is run with a number of servers; none may cost more than this many operations a server. */
const CASES: Record<string, (count: number) => number> = {
  'entries of another instance': count => {
    const held = new Held('lb-1', registered(count, 'lb-2'));
    return operations(() => held.takeIn());
  },
  'a log that answers at once': count => {
    const held = new Held();
    return operations(() => {
      for (let i = 0; i < count; i++) {
        held.registry.propose(claim(i), 'registered');
        held.order();
        held.takeIn(1);
      }
    });
  },
  'all proposals wait, then all come back': count => {
    const held = new Held();
    return operations(() => {
      for (let i = 0; i < count; i++) {
        held.registry.propose(claim(i), 'registered');
        held.registry.propose(active(i), 'served');
      }
      held.settle();
    });
  },
  'all proposals wait while another instance registers the same servers': count => {
    const held = new Held('lb-1', registered(count, 'lb-2'));
    return operations(() => {
      for (let i = 0; i < count; i++) held.registry.propose(claim(i), 'registered');
      held.takeIn();
      held.settle();
    });
  },
  'all proposals wait while others concern other servers, and then the log fails them': count => {
    const held = new Held('lb-1', registered(count, 'lb-2'));
    return operations(() => {
      for (let i = 0; i < count; i++) held.registry.propose(claim(count + i), 'registered');
      held.takeIn();
      for (const { n } of held.waiting) held.registry.reject(n, new Error('disk full'));
    });
  },
  'one change each of many that are known': count => {
    const held = new Held('lb-1', registered(count, 'lb-2'));
    held.takeIn();
    return operations(() => {
      for (let i = 0; i < count; i++) {
        held.registry.propose(drain(i), 'upgrade');
        held.order();
        held.takeIn(1);
        held.registry.get(`s${i}`);
      }
    });
  },
};

for (const [name, run] of Object.entries(CASES)) {
  test(`10,000 servers: ${name}`, () => {
    const few = run(1_000) / 1_000;
    const many = run(10_000) / 10_000;
    assert(few > 1, 'something was counted');
    assert(many < 300, `${many} operations a server`);
    assert(many < few * 1.1, `${few} operations a server with 1,000, ${many} with 10,000`);
  });
}
