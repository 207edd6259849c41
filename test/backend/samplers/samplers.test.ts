/** What a process uses of what it may use. */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { countCpus, cpuAllowance, ProcessCpu } from '../../../src/backend/samplers/cpu.ts';
import { fractionUsed, Samplers } from '../../../src/backend/samplers/samplers.ts';

test('the fraction of a window, and of none', () => {
  assert.equal(fractionUsed({ used: 1, available: 10 }, { used: 3, available: 14 }), 0.5);
  assert.equal(fractionUsed({ used: 1, available: 10 }, { used: 1, available: 10 }), Number.NaN);
  assert.equal(fractionUsed(undefined, { used: 1, available: 10 }), Number.NaN);
  // A counter that went back is no negative use.
  assert.equal(fractionUsed({ used: 3, available: 10 }, { used: 1, available: 14 }), 0);
});

test('lists of CPUs', () => {
  assert.equal(countCpus('0'), 1);
  assert.equal(countCpus('0-3,8,10-11'), 7);
  assert.equal(countCpus('none'), Number.NaN);
  assert.ok(cpuAllowance() >= 1);
  assert.ok(cpuAllowance() >= availableParallelism());
});

test('CPU that could be had is time times CPUs, whatever they are at the time', () => {
  let now = 0;
  let cpus = 2;
  const cpu = new ProcessCpu(
    () => cpus,
    () => now,
  );
  now = 1_000;
  assert.equal(cpu.read().available, 2_000);
  cpus = 0.5;
  now = 3_000;
  const { used, available } = cpu.read();
  assert.equal(available, 3_000);
  const { user, system } = process.cpuUsage();
  assert.ok(used > 0 && used <= (user + system) / 1_000);
});

test('work shows in CPU and event loop, and every figure is one', () => {
  const samplers = new Samplers(() => performance.now());
  const before = samplers.read();
  return new Promise<void>((resolve, reject) => {
    setImmediate(() => {
      const until = performance.now() + 30;
      while (performance.now() < until);
      const after = samplers.read();
      try {
        assert.ok(fractionUsed(before.cpu, after.cpu) > 0);
        assert.ok(fractionUsed(before.eventLoop, after.eventLoop) > 0);
        assert.ok(fractionUsed(before.eventLoop, after.eventLoop) <= 1);
        assert.ok(after.memory > 0 && after.memory < 1);
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
});
