// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings here are source code under test
/** Each tidy rule catches what it is there for, and lets pass what is fine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acrossBundle, impure, undeclared, wrongWay } from './import-rules.ts';
import type { Violation } from './source.ts';
import { deadLinks, machinePath, narrowed, tooLong, unfinished, unreasoned } from './text-rules.ts';
import { deadExports, deadFiles, idleAllowances } from './tree-rules.ts';

const catches = (found: Violation[], line: number, says: RegExp): void => {
  assert.equal(found.length, 1, JSON.stringify(found));
  assert.equal(found[0]?.line, line);
  assert.match(found[0]?.says ?? '', says);
};
const passes = (found: Violation[]): void => assert.deepEqual(found, []);
const importing = (path: string, from: string): Violation[] =>
  wrongWay(path, `\nimport { x } from '${from}';\n`);

test('a file of 501 lines is too long, one of 500 is not', () => {
  catches(tooLong('src/a.ts', 'x\n'.repeat(501)), 501, /501 lines/);
  passes(tooLong('src/a.ts', 'x\n'.repeat(500)));
});

test('pure folders import no others, no package and no I/O', () => {
  catches(importing('src/core/a.ts', '../state/log.ts'), 2, /core does not import state/);
  catches(importing('src/core/a.ts', '../grpc/status.ts'), 2, /core does not import grpc/);
  catches(importing('src/http2/a.ts', '../grpc/status.ts'), 2, /http2 does not import grpc/);
  catches(importing('src/core/a.ts', 'zod'), 2, /pure and imports no package/);
  catches(importing('src/grpc/a.ts', 'node:fs/promises'), 2, /pure and does not import node:fs/);
  catches(importing('src/core/a.ts', '../gen/heapmesh/v1/server.ts'), 2, /core does not import gen/);
  passes(importing('src/core/a.ts', 'node:diagnostics_channel'));
  passes(importing('src/http2/a.ts', '../core/limits.ts'));
  passes(importing('src/core/deep/a.ts', '../heap.ts'));
});

test('folders know each other by their interface alone', () => {
  catches(
    importing('src/control/a.ts', '../state/memory-log.ts'),
    2,
    /control knows state by src\/state\/log.ts/,
  );
  catches(importing('src/proxy/a.ts', '../buffer/kafka.ts'), 2, /by src\/buffer\/buffer.ts alone/);
  catches(importing('src/control/a.ts', '../../test/x.ts'), 2, /not published/);
  passes(importing('src/control/a.ts', '../state/log.ts'));
  passes(importing('src/proxy/a.ts', '../buffer/buffer.ts'));
  passes(importing('src/control/a.ts', '../core/mesh.ts'));
  passes(importing('src/cli/commands/a.ts', '../../state/memory-log.ts'));
  passes(importing('src/index.ts', './state/memory-log.ts'));
});

test('the SDKs import two packages, the messages and the pure folders', () => {
  catches(importing('src/client/a.ts', '../state/log.ts'), 2, /client does not import state/);
  catches(importing('src/backend/a.ts', 'nice-grpc'), 2, /loaded into users' processes/);
  passes(importing('src/client/a.ts', '@bufbuild/protobuf/wire'));
  passes(importing('src/backend/a.ts', '../gen/heapmesh/v1/server.ts'));
  passes(importing('src/backend/a.ts', 'node:os'));
});

test('OpenTelemetry and pino stay in telemetry', () => {
  catches(importing('src/cli/a.ts', '@opentelemetry/api'), 2, /for telemetry alone/);
  catches(importing('src/control/a.ts', 'pino'), 2, /pino is for telemetry alone/);
  passes(importing('src/telemetry/a.ts', 'pino'));
});

test('what is built for browsers imports what they get, and nothing else imports it', () => {
  const crossing = (path: string, from: string): Violation[] =>
    acrossBundle(path, `\nimport { x } from '${from}';\n`);
  catches(crossing('src/admin/console/parts/a.tsx', '../../../core/heap.ts'), 2, /core\/heap.ts is no part/);
  catches(crossing('src/admin/console/a.tsx', 'node:fs'), 2, /browsers get preact and uplot alone/);
  catches(crossing('src/admin/assets.ts', './console/store.ts'), 2, /built for browsers/);
  passes(crossing('src/admin/console/parts/a.tsx', '../../wire.ts'));
  passes(crossing('src/admin/console/a.tsx', 'preact/hooks'));
  passes(crossing('src/admin/console/parts/a.tsx', '../store.ts'));
  passes(crossing('src/admin/assets.ts', './admin.ts'));
});

test('a package that users do not get is caught', () => {
  const text = "import { z } from 'zod';\nimport fc from 'fast-check/lib';\nimport 'node:fs';";
  catches(undeclared('src/a.ts', text, ['zod']), 2, /fast-check is no dependency/);
});

test('clock, randomness, environment, timers and output are caught in pure folders alone', () => {
  for (const [code, says] of [
    ['Date.now()', /clock/],
    ['new Date()', /clock/],
    ['performance.now()', /clock/],
    ['Math.random()', /random/],
    ['crypto.randomUUID()', /random/],
    ['process.env.X', /environment/],
    ['setTimeout(f, 1)', /timer/],
    ['console.log(1)', /prints/],
    ['`${Math.random()}`', /random/],
  ] as const) {
    catches(impure('src/core/a.ts', `let x = 1;\nx = ${code};`), 2, says);
    passes(impure('src/proxy/a.ts', `x = ${code};`));
  }
  passes(
    impure('src/core/a.ts', "// Date.now()\nthrow new Error('process.env is not read'); new Date(time);"),
  );
});

test('words that say that something is left to do are caught', () => {
  catches(unfinished('src/a.ts', 'x\n// TO' + 'DO: later'), 2, /finish it/);
  catches(unfinished('src/a.ts', "throw new Error('not yet impl" + "emented');"), 1, /finish it/);
  passes(unfinished('src/a.ts', "status = 'UNIMPLEMENTED'; // a method of todoist"));
});

test('a skipped lint rule needs a reason', () => {
  const ignore = '// biome-' + 'ignore lint/style/noNonNullAssertion';
  catches(unreasoned('src/a.ts', `x\n${ignore}: ok`), 2, /say why/);
  catches(unreasoned('src/a.ts', '// @ts-' + 'expect-error'), 1, /say why/);
  passes(unreasoned('src/a.ts', `${ignore}: the heap has a root here`));
});

test('tests that are skipped without a reason, or leave others out, are caught', () => {
  catches(narrowed('test/a.test.ts', 'x\ntest.only("a", f)'), 2, /leaves all other tests out/);
  catches(narrowed('test/a.test.ts', 'test("a", { skip: true }, f)'), 1, /no reason/);
  catches(narrowed('test/a.test.ts', 'test("a", { skip: !found("bash") }, f)'), 1, /no reason/);
  catches(narrowed('test/a.test.ts', 'it.todo("a")'), 1, /no reason/);
  passes(narrowed('test/a.test.ts', 'test("a", { skip: noRoot && "needs root" }, f) // test.only('));
});

test('paths of a machine are caught', () => {
  const machine = { root: '/srv/checkouts/mesh', home: '/var/people/jo' };
  const of = (text: string): Violation[] => machinePath('a.md', text, machine);
  catches(of('x\nsee /srv/checkouts/mesh/src'), 2, /one machine/);
  catches(of('see /var/people/jo.'), 1, /one machine/);
  catches(of(`see ${['', 'home', 'ann', 'x'].join('/')}`), 1, /one machine/);
  passes(of('see ~/.cache/heapmesh, /srv/checkouts/mesh-data and https://a.example/home/x/y'));
});

test('links to files that are not there are caught', () => {
  const exists = (path: string): boolean => path === 'docs/b.md';
  catches(deadLinks('docs/a.md', 'x\n[b](c.md#top)', exists), 2, /c\.md, which is not there/);
  passes(
    deadLinks('docs/a.md', '[b](b.md#top), [c](../docs/b.md), [d](https://a.example/), [e](#here)', exists),
  );
});

const entries = ['src/main.ts'];

test('a file that no import reaches is dead', () => {
  const tree = new Map([
    ['src/main.ts', "import { a } from './a.ts';"],
    ['src/a.ts', "export const a = import('./b.ts');"],
    ['src/b.ts', "import './main.ts';"],
    ['src/c.ts', "import './main.ts';"],
  ]);
  const found = deadFiles(tree, entries);
  catches(found, 1, /no import leads here/);
  assert.equal(found[0]?.path, 'src/c.ts');
});

test('an export that nothing imports is dead, unless it is allowed', () => {
  const tree = new Map([
    [
      'src/main.ts',
      "import { used } from './a.ts';\nimport * as b from './b.ts';\nb.viaStar(used);\nexport const entry = 1;",
    ],
    [
      'src/a.ts',
      'export const used = 1;\nexport const dead = 2;\nexport interface Options {}\nexport function f(o: Options) {}',
    ],
    ['src/b.ts', 'export const viaStar = 1;\nexport type Lonely = 1;'],
  ]);
  const found = (allowed: [string, string][], tests: [string, string][] = []): string[] =>
    deadExports(tree, entries, new Map(allowed), new Map(tests)).map(
      ({ path, line, says }) => `${path}:${line} ${says.split(' ')[0]}`,
    );
  assert.deepEqual(found([]), ['src/a.ts:2 dead', 'src/a.ts:4 f', 'src/b.ts:2 Lonely']);
  assert.deepEqual(found([['src/a.ts#dead', 'a reason']]), ['src/a.ts:4 f', 'src/b.ts:2 Lonely']);
  // A test is a use of what src itself uses too, and of nothing else.
  const tests: [string, string][] = [['test/a.test.ts', "import { dead, f } from '../src/a.ts';"]];
  tree.set('src/a.ts', `${tree.get('src/a.ts')}\nf({});`);
  assert.deepEqual(found([], tests), ['src/a.ts:2 dead', 'src/b.ts:2 Lonely']);
  const allowed = new Map([
    ['src/a.ts#dead', 'a reason'],
    ['src/a.ts#used', 'is used by now'],
  ]);
  assert.deepEqual(idleAllowances(tree, entries, allowed), ['src/a.ts#used']);
});
