/**
 * The long run of everything that is random: `node scripts/fuzz.ts [--seconds N] [--factor N] [PATH ...]`.
 *
 * Runs the test files that take a seed (those that import `test/support/seed.ts`; below the paths, where there
 * are some), each with more cases than in `make test` and a fresh seed, again and again until the time is over.
 * Each failure is printed with its seed, as the command that repeats it; exit code 1 where there was any.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { filesBelow, ROOT } from './lib/project.ts';
import { endAll, runToEnd } from './testing/process.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '600' },
    factor: { type: 'string', default: '20' },
  },
});
const seconds = Number(values.seconds);
const factor = Number(values.factor);
if (!(seconds > 0) || !(factor >= 1)) {
  console.error('fuzz: --seconds takes a number above 0, --factor one from 1 on');
  process.exit(2);
}

/** A file that hangs is ended after this time beyond the end of the run. */
const PATIENCE_MS = 600_000;

const takesSeed = (file: string): boolean =>
  file.endsWith('.test.ts') && /from '[./]*support\/seed\.ts'/.test(readFileSync(join(ROOT, file), 'utf8'));
const files = (positionals.length > 0 ? positionals : ['test']).flatMap(filesBelow).filter(takesSeed);
if (files.length === 0) {
  console.error(`fuzz: no test file that takes a seed below ${positionals.join(', ')}`);
  process.exit(2);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    endAll();
    process.exit(1);
  });
}

const started = performance.now();
const left = (): number => seconds * 1000 - (performance.now() - started);
let runs = 0;
let failed = 0;
console.log(`fuzz: ${files.length} files, ${factor} times as many cases as in the tests, for ${seconds} s`);
for (let n = 0; left() > 0; n++) {
  const file = files[n % files.length] as string;
  const seed = randomInt(2 ** 31);
  const env = { HEAPMESH_TEST_SEED: String(seed), HEAPMESH_FUZZ_FACTOR: String(factor) };
  let printed = '';
  const command = ['node', '--conditions=heapmesh-source', '--test-reporter=dot', file];
  const { code, timedOut } = await runToEnd(
    command,
    left() + PATIENCE_MS,
    text => {
      printed = (printed + text).slice(-20_000);
    },
    env,
  );
  runs++;
  const ok = code === 0;
  if (!ok) failed++;
  console.log(`  ${ok ? 'ok  ' : 'FAIL'} ${file}, seed ${seed}${timedOut ? ': it did not end' : ''}`);
  if (!ok) {
    console.log(printed);
    console.log(`  again: HEAPMESH_TEST_SEED=${seed} HEAPMESH_FUZZ_FACTOR=${factor} ${command.join(' ')}`);
  }
}
console.log(`${runs - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
