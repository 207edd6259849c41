import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readScenario, writeScenario } from '../../src/config/scenario.ts';
import { SCENARIOS } from '../../src/sim/sim.ts';
import { heapmesh } from './harness.ts';

function folderFor(t: { after(end: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-sim-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const SHORT = ['--calls', '300', '--seeds', '2', '--policies', 'least-load,least-request'];

test('scenarios and policies are listed; an unknown one is told what there is', async () => {
  const { stdout } = await heapmesh(['sim', '--list', '-o', 'json']);
  const { scenarios, policies } = JSON.parse(stdout);
  assert.equal(scenarios.length, SCENARIOS.length);
  assert.ok(policies.some((policy: { name: string }) => policy.name === 'prequal-probes'));
  for (const [args, message] of [
    [['sim', 'nowhere'], /there is no scenario 'nowhere'; expected a YAML file or one of equal,/],
    [['sim', 'equal', '--policies', 'best'], /there is no policy 'best'; expected one of least-load,/],
    [['sim', 'equal', '--balancers', '0'], /Expected numbers above 0/],
    [['sim', 'nowhere.yaml'], /cannot read nowhere.yaml: there is no such file/],
  ] as const) {
    const { code, stderr } = await heapmesh([...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});

test('a table with intervals, and the same figures again as JSON', async () => {
  const args = ['sim', 'equal', '--balancers', '1,4', ...SHORT];
  const table = await heapmesh(args);
  assert.equal(table.code, 0, table.stderr);
  assert.match(table.stdout, /equal \(1 balancers\): 10 equal servers/);
  assert.match(table.stdout, /least-request .* \d\.\d\d \(\d\.\d\d–\d\.\d\d\)/);
  assert.equal(table.stderr, '', 'no bar where nobody looks');
  const json = JSON.parse((await heapmesh([...args, '-o', 'json'])).stdout);
  assert.equal(json.runs.length, 8);
  assert.deepEqual(json.seeds, [1, 2]);
  const again = JSON.parse((await heapmesh([...args, '-o', 'json'])).stdout);
  assert.deepEqual(again, json);
});

test('the page needs nothing else, and plots are files', async t => {
  const folder = folderFor(t);
  const page = join(folder, 'page.html');
  const { code, stderr } = await heapmesh(['sim', 'one-slow', ...SHORT, '--html', page, '--svg', folder]);
  assert.equal(code, 0, stderr);
  const html = readFileSync(page, 'utf8');
  assert.equal((html.match(/<svg /g) ?? []).length, 5, 'latency, and load and heat of each policy');
  assert.doesNotMatch(html.replaceAll('http://www.w3.org/2000/svg', ''), /https?:|<script|<link|<img|url\(/);
  const files = readdirSync(folder).filter(name => name.endsWith('.svg'));
  assert.deepEqual(files.sort(), [
    'one-slow-heat-least-load.svg',
    'one-slow-heat-least-request.svg',
    'one-slow-latency.svg',
    'one-slow-load-least-load.svg',
    'one-slow-load-least-request.svg',
  ]);
});

test('every built-in scenario reads back from its YAML as it was', () => {
  for (const scenario of SCENARIOS) {
    assert.deepEqual(readScenario(writeScenario(scenario), scenario.name), scenario, scenario.name);
  }
});

test('a file of its own; every mistake with its place', async t => {
  const folder = folderFor(t);
  const fine = join(folder, 'fine.yaml');
  writeFileSync(fine, 'name: mine\nservers: [{ count: 3, slots: 2 }]\nload: { utilization: 0.5 }\n');
  const { code, stdout } = await heapmesh(['sim', fine, ...SHORT]);
  assert.equal(code, 0);
  assert.match(stdout, /^mine: /);
  const wrong = join(folder, 'wrong.yaml');
  writeFileSync(wrong, 'name: x\nservers:\n  - { count: 0, spead: 2 }\nreportInterval: 5\n');
  const { code: exit, stderr } = await heapmesh(['sim', wrong]);
  assert.equal(exit, 2);
  for (const place of [
    /wrong.yaml:3:14: servers\[0\].count/,
    /:3:17: servers\[0\].spead/,
    /:4:17: reportInterval/,
  ])
    assert.match(stderr, place);
  writeFileSync(
    wrong,
    'name: x\nservers: [{ count: 2 }]\nhappenings: [{ what: hang, servers: [2], at: 1s }]\n',
  );
  assert.match((await heapmesh(['sim', wrong])).stderr, /names server 2; there are 2, counted from 0/);
});

test('arrivals as recorded', async t => {
  const folder = folderFor(t);
  const trace = join(folder, 'trace.csv');
  // One call each 10 ms, which takes 5: nobody waits, and each latency is 5 ms and the network's 0.5.
  writeFileSync(
    trace,
    `# ms, ms of service\n${Array.from({ length: 50 }, (_, n) => `${n * 10},5`).join('\n')}\n`,
  );
  const args = ['sim', 'equal', '--calls', '200', '--seeds', '1', '--trace', trace];
  const { stdout } = await heapmesh([...args, '--policies', 'least-load', '-o', 'json']);
  const [run] = JSON.parse(stdout).runs;
  assert.ok(Math.abs(run.p50 - 5.5) < 1e-6 && Math.abs(run.p999 - 5.5) < 1e-6, stdout);
  writeFileSync(trace, '10\n5\n');
  assert.match((await heapmesh(args)).stderr, /trace.csv:2: '5'; expected a time in ms/);
});
