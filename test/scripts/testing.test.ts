/** The test runner: what it counts, what it ends, what it skips and where it must not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runFiles } from '../../scripts/testing/files.ts';
import { type Result, runSuite } from '../../scripts/testing/run.ts';
import { filesOf, isQuick, SUITES, type Suite } from '../../scripts/testing/suites.ts';
import { closingLine, summaryTable } from '../../scripts/testing/summary.ts';
import { ToolchainMissing } from '../../scripts/tools/kinds.ts';

/** Runs one test file of this text; says its counts and what a person sees. */
async function outcome(text: string, timeoutMs = 60_000): Promise<{ counts: object; shown: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-runner-'));
  const file = join(folder, 'a.test.mjs');
  writeFileSync(file, `import test from 'node:test';\n${text}`);
  const said: string[] = [];
  try {
    const counts = await runFiles([file], { timeoutMs, say: line => said.push(line) });
    return { counts, shown: said.join('\n') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('tests that pass, fail and are skipped are counted', async () => {
  const { counts, shown } = await outcome(`
    console.log('seed 42');
    test('good', () => {});
    test('bad', () => { throw new Error('what went wrong'); });
    test('later', { skip: 'needs root' }, () => {});
  `);
  assert.deepEqual(counts, { passed: 1, failed: 1, skipped: 1 });
  assert.match(shown, /FAIL bad .*a\.test\.mjs:5/);
  assert.match(shown, /what went wrong/);
  assert.match(shown, /skipped later .*: needs root/);
  assert.match(shown, /what it printed:\s+seed 42/);
});

test('what a file prints is not shown where it passes', async () => {
  const { counts, shown } = await outcome("console.log('noise'); test('good', () => {});");
  assert.deepEqual(counts, { passed: 1, failed: 0, skipped: 0 });
  assert.doesNotMatch(shown, /noise/);
});

test('a file that cannot be loaded, has no tests or ends itself has failed', async () => {
  const missing = await outcome("import './nowhere.mjs';");
  assert.deepEqual(missing.counts, { passed: 0, failed: 1, skipped: 0 });
  assert.match(missing.shown, /ERR_MODULE_NOT_FOUND/);
  assert.deepEqual((await outcome('')).counts, { passed: 0, failed: 1, skipped: 0 });
  const left = await outcome("test('good', () => {}); test('ends', () => process.exit(0));");
  assert.match(left.shown, /FAIL/);
});

test('a file that hangs is ended with the processes that it started, and has failed', async () => {
  const server = createServer();
  const connected = once(server, 'connection') as Promise<[Socket]>;
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const child = `require('net').connect(${port}, '127.0.0.1')`;
  const { counts, shown } = await outcome(
    `import { spawn } from 'node:child_process';
     spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'ignore' });
     setInterval(() => {}, 1000);
     test('good', () => {});`,
    5_000,
  );
  assert.deepEqual(counts, { passed: 0, failed: 1, skipped: 0 });
  assert.match(shown, /did not end within 5 s/);
  const [socket] = await connected;
  if (!socket.closed) await once(socket.on('error', () => undefined).resume(), 'close');
  server.close();
});

test('a test that hangs is named', async () => {
  const hangs = "test('waits for ever', () => new Promise(resolve => setTimeout(resolve, 60_000)));";
  const { shown } = await outcome(hangs, 3_000);
  assert.match(shown, /FAIL waits for ever/);
});

const needy: Suite = { name: 'needy', what: '', folders: ['test/needy'], needs: ['grpcurl'] };
const without = (ci: boolean): Promise<Result> =>
  runSuite(needy, ['test/needy/a.test.ts', 'test/needy/b.test.ts'], {
    ci,
    ensureTools: () => Promise.reject(new ToolchainMissing('no Go here')),
    say: () => undefined,
  });

test("a suite without its toolchain is skipped and counted on a person's machine", async () => {
  const { passed, failed, skipped, note } = await without(false);
  assert.deepEqual(
    { passed, failed, skipped, note },
    { passed: 0, failed: 0, skipped: 2, note: 'no Go here' },
  );
});

test('a suite without its toolchain fails on a CI machine', async () => {
  const { passed, failed, skipped } = await without(true);
  assert.deepEqual({ passed, failed, skipped }, { passed: 0, failed: 2, skipped: 0 });
});

test('a tool that cannot be built fails everywhere', async () => {
  const ensureTools = (): Promise<void> => Promise.reject(new Error('go install failed'));
  const { failed } = await runSuite(needy, [], { ci: false, ensureTools, say: () => undefined });
  assert.equal(failed, 1);
});

test('commands count as a test each', async () => {
  const suite: Suite = {
    name: 'c',
    what: '',
    commands: [['node', '-e', ''], ['node', '-e', 'process.exit(3)'], ['no-such-command']],
  };
  const { passed, failed } = await runSuite(suite, [], {
    ci: true,
    ensureTools: () => Promise.resolve(),
    say: () => undefined,
  });
  assert.deepEqual({ passed, failed }, { passed: 1, failed: 2 });
});

test('a suite with variants runs its files in each of them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-runner-'));
  const file = join(folder, 'a.test.mjs');
  writeFileSync(
    file,
    "import test from 'node:test'; test('one', t => { if (process.env.FORM === 'b') throw new Error('b'); });",
  );
  const said: string[] = [];
  const variants = ['a', 'b'].map(name => ({ name: `form ${name}`, env: { FORM: name } }));
  try {
    const { passed, failed } = await runSuite({ name: 'x', what: '', variants }, [file], {
      ci: true,
      ensureTools: () => Promise.resolve(),
      say: line => said.push(line),
    });
    assert.deepEqual({ passed, failed }, { passed: 1, failed: 1 });
    assert.match(said.join('\n'), /form a:\n.*ok .*\n {2}form b:\n.*FAIL/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('every test file is in exactly one suite, the quick suites come first', () => {
  const files = [
    'test/core/a.test.ts',
    'test/interop/b.test.ts',
    'test/new/c.test.ts',
    'test/core/rig.ts',
    'test/conformance/d.conformance.ts',
    'test/conformance/harness.ts',
  ];
  const owners = files.map(file =>
    SUITES.filter(suite => filesOf(suite, SUITES, files).includes(file)).map(({ name }) => name),
  );
  assert.deepEqual(owners, [['unit'], ['interop'], ['unit'], [], ['conformance'], []]);
  const quick = SUITES.map(isQuick);
  assert.equal(quick.lastIndexOf(true) < quick.indexOf(false), true);
});

test('the last line has the totals', () => {
  const results: Result[] = [
    { suite: 'a', passed: 10, failed: 0, skipped: 1, seconds: 1, note: '' },
    { suite: 'longer', passed: 2, failed: 3, skipped: 0, seconds: 12.34, note: 'why' },
  ];
  assert.equal(closingLine(results), '12 passed, 3 failed, 1 skipped');
  assert.equal(
    summaryTable(results),
    [
      'suite   passed  failed  skipped  seconds',
      'a           10       0        1      1.0',
      'longer       2       3        0     12.3  why',
    ].join('\n'),
  );
});
