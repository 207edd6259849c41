/**
 * The test runner behind `make test`: `node scripts/test.ts [--quick] [SUITE | FILE ...]`.
 * Its last line is `N passed, N failed, N skipped`; its exit code is 1 where anything failed.
 */
import { spawnSync } from 'node:child_process';
import { pinnedEnv, ROOT } from './lib/project.ts';
import { endAll } from './testing/process.ts';
import { type Result, runSuite } from './testing/run.ts';
import { filesOf, isQuick, SUITES, type Suite } from './testing/suites.ts';
import { closingLine, summaryTable } from './testing/summary.ts';
import { ensureTools } from './tools/install.ts';

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const names = args.filter(arg => !arg.startsWith('--') && !arg.includes('/'));
const paths = args.filter(arg => arg.includes('/'));
const unknown = [
  ...args.filter(arg => arg.startsWith('--') && arg !== '--quick'),
  ...names.filter(name => !SUITES.some(suite => suite.name === name)),
];
if (unknown.length > 0) {
  console.error(
    `test: no suite or flag ${unknown.join(', ')}. Suites: ${SUITES.map(suite => suite.name).join(', ')}`,
  );
  process.exit(2);
}

const work: { suite: Suite; files: string[] }[] = [];
for (const suite of SUITES) {
  const all = filesOf(suite);
  const everything = names.includes(suite.name) || args.every(arg => arg === '--quick');
  const files = everything ? all : all.filter(file => paths.some(path => file.startsWith(path)));
  const commands = everything && suite.commands !== undefined;
  if ((files.length > 0 || commands) && (!quick || isQuick(suite))) work.push({ suite, files });
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    endAll();
    process.exit(1);
  });
}

const results: Result[] = [];
let builds = true;
for (const [index, { suite, files }] of work.entries()) {
  console.log(`\n[${index + 1}/${work.length}] ${suite.name}: ${suite.what}`);
  if (suite.built === true) builds &&= build();
  results.push(
    suite.built === true && !builds
      ? {
          suite: suite.name,
          passed: 0,
          failed: files.length,
          skipped: 0,
          seconds: 0,
          note: 'make build failed',
        }
      : await runSuite(suite, files, {
          ci: process.env.CI === 'true',
          ensureTools,
          say: line => console.log(line),
        }),
  );
}
console.log(`\n${summaryTable(results)}`);
console.log(closingLine(results));
process.exitCode = results.some(result => result.failed > 0) || results.length === 0 ? 1 : 0;

function build(): boolean {
  const options = { cwd: ROOT, env: pinnedEnv(), stdio: 'inherit' } as const;
  return spawnSync('node', ['scripts/build.ts'], options).status === 0;
}
