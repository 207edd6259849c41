/**
 * `make bench`: runs every `test/bench/NAME.bench.ts`, or those that are named, one after the other, and
 * keeps what each says in `bench-results/NAME.json`. Arguments behind `--` go to each of them.
 *
 * A benchmark is a program. It prints its tables, and with `--json FILE` writes its figures there; it
 * ends with exit code 0 also where a figure that is to be reached was not, since a slow machine is no fault.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { basename, join } from 'node:path';
import { filesBelow, pinnedEnv, ROOT } from './lib/project.ts';

const SUFFIX = '.bench.ts';
const RESULTS = 'bench-results';

const args = process.argv.slice(2);
const split = args.indexOf('--');
const asked = split === -1 ? args : args.slice(0, split);
const passedOn = split === -1 ? [] : args.slice(split + 1);

const all = new Map(
  filesBelow('test/bench')
    .filter(file => file.endsWith(SUFFIX))
    .map(file => [basename(file, SUFFIX), file]),
);
const unknown = asked.filter(name => !all.has(name));
if (unknown.length > 0) {
  console.error(`bench: no benchmark ${unknown.join(', ')}. Benchmarks: ${[...all.keys()].join(', ')}`);
  process.exit(2);
}

mkdirSync(join(ROOT, RESULTS), { recursive: true });
const failed: string[] = [];
const names = asked.length === 0 ? [...all.keys()] : asked;
for (const [index, name] of names.entries()) {
  console.log(`\n[${index + 1}/${names.length}] ${name}`);
  const json = join(RESULTS, `${name}.json`);
  // Else a benchmark that writes nothing would pass for one that ran.
  rmSync(join(ROOT, json), { force: true });
  const command = ['--conditions=heapmesh-source', all.get(name) ?? '', '--json', json, ...passedOn];
  const { status } = spawnSync('node', command, { cwd: ROOT, env: pinnedEnv(), stdio: 'inherit' });
  if (status !== 0 || !existsSync(join(ROOT, json))) failed.push(name);
}

const machine = {
  time: new Date().toISOString(),
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  benchmarks: names,
};
writeFileSync(join(ROOT, RESULTS, 'machine.json'), `${JSON.stringify(machine, undefined, 2)}\n`);
console.log(`\nbench: ${names.length - failed.length} of ${names.length} ran; figures are in ${RESULTS}/`);
if (failed.length > 0) {
  console.error(`bench: failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
