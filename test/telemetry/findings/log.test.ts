/** Findings of the log of changes: one in files that cannot be written, one on Kafka whose brokers are away. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { claim } from '../../core/registry-support.ts';
import { until } from '../../proxy/rig.ts';
import { freePort } from '../../support/program.ts';
import { assertFound, startFindings } from './rig.ts';

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-state-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** This process writes no file beyond so many octets: EFBIG, as a disk that fails. */
function limitFiles(octets: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${octets}:`]);
}

test('state-log: a log in files that cannot be written', async t => {
  const directory = folderFor(t);
  const rig = await startFindings(t, [], { state: { log: 'file', directory } });
  const { registry } = rig.mesh;
  await registry.propose(claim('a'), 'registered');
  await rig.steps(3);
  assert.deepEqual(await rig.found('state-log'), []);
  // Else it would end this process.
  const ignore = (): void => {};
  process.on('SIGXFSZ', ignore);
  const sizes = readdirSync(directory).map(name => statSync(join(directory, name)).size);
  limitFiles(Math.max(...sizes));
  try {
    const { notKept } = await registry.propose(claim('b'), 'registered');
    assert.match(notKept ?? '', /a write of the log .* failed \(EFBIG/);
  } finally {
    limitFiles('unlimited');
    process.off('SIGXFSZ', ignore);
  }
  rig.afresh();
  await rig.steps(3);
  assertFound(await rig.found('state-log'), {
    key: '',
    severity: 'critical',
    detail:
      /^Changes of servers are not kept, 100 % of the last \d+ s: a write of the log in .* failed \(EFBIG/,
    advice: /`state.directory`.*restart this instance/,
  });
  rig.faults.length = 0;
});

test('state-log: Kafka does not answer', { timeout: 60_000 }, async t => {
  const brokers = [`127.0.0.1:${await freePort()}`];
  const state = { log: 'kafka', brokers, directory: folderFor(t) };
  const rig = await startFindings(t, [], { state });
  await until(() => rig.faults.length > 0, 'the log says that it is behind');
  rig.mesh.registry.propose(claim('a'), 'registered').catch(() => {});
  await rig.steps(3);
  assertFound(await rig.found('state-log'), {
    key: '',
    severity: 'warning',
    detail:
      /^The log is behind, 100 % of the last \d+ s: .* does not answer .* other instances do not know of it/,
    advice: /brokers of `state\.brokers`/,
  });
  assert.match(String(rig.faults), /^the log is behind: [^\n]*$/);
  rig.faults.length = 0;
});
