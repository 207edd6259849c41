import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/lib/project.ts';
import { startProgram } from '../support/program.ts';

const MIB = 1024 * 1024;

/** Sizes that the young generation had until it was ready and had the wanted one, as V8 tells them at its collections, octets. */
async function sizes(flags: readonly string[], wanted: number): Promise<number[]> {
  const ready = Promise.withResolvers<void>();
  const lines: string[] = [];
  let isReady = false;
  let grown = false;
  const any = '127.0.0.1:0';
  const addresses = ['--proxy', any, '--control', any, '--admin', any];
  const program = await startProgram(
    process.execPath,
    [
      ...['--trace-gc-nvp', ...flags, '--conditions=heapmesh-source', '--no-warnings'],
      ...[join(ROOT, 'src/cli/main.ts'), 'serve', ...addresses, '-o', 'json'],
    ],
    {
      onLine(line) {
        lines.push(line);
        isReady ||= line.includes('"ready"');
        grown ||= line.includes(`new_space_capacity=${wanted} `);
        if (isReady && grown) ready.resolve();
      },
    },
  );
  void program.ended.then(end => ready.reject(new Error(`ended (${end}): ${program.printed()}`)));
  await ready.promise;
  await program.stop();
  return lines.flatMap(line => /\bnew_space_capacity=(\d+)/.exec(line)?.[1] ?? []).map(Number);
}

test('the young generation of a balancer grows to 4 MiB and no further', async () => {
  const grown = await sizes([], 4 * MIB);
  assert.equal(Math.max(...grown), 4 * MIB, String(grown));
  // It began smaller, so it was not the size that V8 begins with.
  assert.ok(Math.min(...grown) < 4 * MIB, String(grown));
});

test('a size that was chosen at the start holds', async () => {
  const grown = await sizes(['--max-semi-space-size=8'], 8 * MIB);
  assert.equal(Math.max(...grown), 8 * MIB, String(grown));
});
