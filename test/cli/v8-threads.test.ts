import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/lib/project.ts';
import { startProgram } from '../support/program.ts';

/** V8's threads of a balancer on one core, and whether its process is the one that was started. */
async function threads(flags: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const ready = Promise.withResolvers<string>();
  const any = '127.0.0.1:0';
  const addresses = ['--proxy', any, '--control', any, '--admin', any];
  const program = await startProgram(
    process.execPath,
    [
      ...[...flags, '--conditions=heapmesh-source', '--no-warnings'],
      ...[join(ROOT, 'src/cli/main.ts'), 'serve', ...addresses, '-o', 'json'],
    ],
    { cpu: 0, env, onLine: ready.resolve },
  );
  void program.ended.then(end => ready.reject(new Error(`ended (${end}): ${program.printed()}`)));
  const told = JSON.parse(await ready.promise) as { ready: boolean; proxy: string };
  const tasks = `/proc/${program.pid}/task`;
  const names = readdirSync(tasks).map(id => readFileSync(`${tasks}/${id}/comm`, 'latin1').trim());
  const argv = readFileSync(`/proc/${program.pid}/cmdline`, 'latin1').split('\0');
  const end = await program.stop();
  return { told, end, count: names.filter(name => name === 'V8Worker').length, argv };
}

const skip = process.platform !== 'linux' && 'counts threads by /proc';

test('on one core V8 has one thread beside the main one, in the process that was started', {
  skip,
}, async () => {
  const { told, end, count, argv } = await threads([]);
  assert.equal(told.ready, true);
  assert.equal(count, 1, String(argv));
  // What was given to Node and to the command is still there.
  assert.deepEqual(
    argv.filter(one => one === '--conditions=heapmesh-source' || one === 'serve' || one === '-o').length,
    3,
  );
  assert.equal(end, 0);
});

test('a number that was chosen at the start holds', { skip }, async () => {
  assert.equal((await threads(['--v8-pool-size=3'])).count, 3);
  assert.equal((await threads([], { NODE_OPTIONS: '--v8-pool-size=2' })).count, 2);
});
