/** The demo as a process: what it prints, and that a killed server costs no call. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { command, start } from './process.ts';

/** Processes below one, by Linux's account of them. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

function backendPid(demo: ChildProcess, id: string): number {
  const pids = childrenOf(demo.pid ?? 0);
  const pid = pids.find(each => readFileSync(`/proc/${each}/cmdline`, 'utf8').includes(`"id":"${id}"`));
  assert.ok(pid !== undefined, `no process of ${id}`);
  return pid;
}

const onLinux = { skip: process.platform === 'linux' ? false : 'finds the processes by /proc' };

for (const via of ['lookaside', 'proxy']) {
  test(`via ${via}: a server killed by SIGKILL costs no call`, { ...onLinux, timeout: 60_000 }, async () => {
    const demo = start(['demo', '--plain', '--control', '127.0.0.1:0', '--via', via, '--rate', '150']);
    const { pid = 0, stdout, stderr } = demo;
    assert.ok(stdout !== null && stderr !== null);
    let errors = '';
    stderr.on('data', chunk => (errors += chunk));
    const ended = once(demo, 'close');
    const seen: string[] = [];
    try {
      let killed = 0;
      for await (const line of createInterface(stdout)) {
        seen.push(line);
        const figures = /^ +(\d+) s .* failed (\d+)$/.exec(line);
        if (figures === null) continue;
        assert.equal(figures[2], '0', seen.join('\n'));
        if (killed === 0 && /fast-1 \w+ [1-9]/.test(line)) {
          killed = backendPid(demo, 'fast-1');
          process.kill(killed, 'SIGKILL');
        } else if (killed !== 0 && / fast-1 ejected /.test(line) && / slow \w+ [1-9]/.test(line)) {
          break;
        }
      }
    } finally {
      process.kill(pid, 'SIGINT');
    }
    const [code] = await ended;
    assert.equal(errors, '');
    assert.equal(code, 0);
    const text = seen.join('\n');
    assert.match(text, /the process of fast-1 ended by SIGKILL/);
    assert.match(text, /fast-1: ejected \(.+\)/);
    const events = seen.filter(line => /^\d\d:/.test(line)).map(line => line.slice('00:00:00'.length));
    for (const [i, event] of events.entries()) assert.notEqual(event, events[i - 1], 'told twice');
  });
}

test('--seconds ends by itself and compares with round robin, as JSON', { timeout: 60_000 }, async () => {
  const ran = await command(['demo', '--seconds', '4', '--control', '127.0.0.1:0', '-o', 'json']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(ran.stderr, '');
  const { rate, phases } = JSON.parse(ran.stdout);
  assert.equal(rate, 280);
  assert.deepEqual(
    phases.map((phase: { policy: string }) => phase.policy),
    ['least-load heap, lookaside', 'round robin'],
  );
  for (const { served, failed, byServer } of phases) {
    assert.ok(served > 0);
    assert.equal(failed, 0);
    assert.ok(byServer['fast-1'] > 0 && byServer['fast-2'] > 0);
  }
});

test('--overload: the servers pass 80 %, and the standby joins by itself', { timeout: 60_000 }, async () => {
  const demo = start(['demo', '--overload', '--plain', '--control', '127.0.0.1:0', '--admin', '127.0.0.1:0']);
  const { pid = 0, stdout } = demo;
  assert.ok(stdout !== null);
  const ended = once(demo, 'close');
  const seen: string[] = [];
  try {
    for await (const line of createInterface(stdout)) {
      seen.push(line);
      if (/ standby (warming|active) /.test(line)) break;
    }
  } finally {
    process.kill(pid, 'SIGINT');
  }
  const [code] = await ended;
  assert.equal(code, 0);
  const text = seen.join('\n');
  assert.match(text, /standby: warming \(.+ over the threshold 80 % for \d+\.\d s/);
  assert.match(text, /^ +\d+ s .* {2}utilization \d+% /m);
});
