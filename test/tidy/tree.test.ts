/** The tidy rules, over the whole tree. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { filesBelow, ROOT } from '../../scripts/lib/project.ts';
import { ALLOWED_EXPORTS, ENTRIES, SDKS } from './folders.ts';
import { acrossBundle, folderOf, impure, packageOf, undeclared, wrongWay } from './import-rules.ts';
import { importsOf, type Violation } from './source.ts';
import { deadLinks, machinePath, narrowed, tooLong, unfinished, unreasoned } from './text-rules.ts';
import { deadExports, deadFiles, idleAllowances } from './tree-rules.ts';

const TEXT = new Set([
  '',
  '.cjs',
  '.css',
  '.html',
  '.js',
  '.json',
  '.md',
  '.mjs',
  '.proto',
  '.sh',
  '.ts',
  '.tsx',
  '.yaml',
  '.yml',
]);
const BUILT = new Set(['.git', '.make', 'bench-results', 'dist', 'node_modules', 'heapmesh-state']);

/** What is committed, by path: walked, so that it works without git as well. */
const all = new Map(
  readdirSync(ROOT)
    .filter(name => !BUILT.has(name))
    .flatMap(filesBelow)
    .filter(
      path => TEXT.has(extname(path)) && !path.startsWith('src/gen/') && !path.includes('node_modules/'),
    )
    .map(path => [path, readFileSync(join(ROOT, path), 'utf8')]),
);
const isCode = (path: string): boolean => /\.(?:ts|tsx|mjs)$/.test(path);
const below = (...folders: string[]): Map<string, string> =>
  new Map([...all].filter(([path]) => folders.some(folder => path.startsWith(`${folder}/`))));
const code = (...folders: string[]): Map<string, string> =>
  new Map([...below(...folders)].filter(([path]) => isCode(path)));
const src = code('src');
const lockFile = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
const tests = code('test');

function over(tree: Map<string, string>, rule: (path: string, text: string) => Violation[]): void {
  none([...tree].flatMap(([path, text]) => rule(path, text)));
}

function none(found: readonly Violation[]): void {
  const lines = found.map(({ path, line, says }) => `${path}:${line}: ${says}`);
  assert.equal(lines.length, 0, `\n${lines.join('\n')}`);
}

interface Manifest {
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}
const {
  dependencies,
  peerDependencies,
  optionalDependencies = {},
} = JSON.parse(all.get('package.json') ?? '') as Manifest;
const declared = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies });

test('the tree is there', () => {
  assert.ok(src.size > 10 && all.has('package.json') && code('test').size > 5);
});
test('no file is too long', () => over(code('src', 'test', 'scripts', 'examples'), tooLong));
test('imports go one way', () => over(src, wrongWay));
test('what browsers get is apart', () => over(src, acrossBundle));
test('pure folders are pure', () => over(src, impure));
test('src imports what users get', () => over(src, (path, text) => undeclared(path, text, declared)));
test('every dependency is used', () => {
  // Messages import theirs too.
  const generated = filesBelow('src/gen').map(path => readFileSync(join(ROOT, path), 'utf8'));
  const used = new Set([...src.values(), ...generated].flatMap(importsOf).map(({ from }) => packageOf(from)));
  assert.deepEqual(
    Object.keys({ ...dependencies, ...optionalDependencies }).filter(name => !used.has(name)),
    [],
  );
});
test('the SDKs are there', () => {
  for (const sdk of SDKS)
    assert.ok(
      [...src.keys()].some(path => folderOf(path) === sdk),
      sdk,
    );
});
test('no file is dead', () => none(deadFiles(src, ENTRIES)));
test('no export is dead', () => none(deadExports(src, ENTRIES, ALLOWED_EXPORTS, tests)));
test('no exception is idle', () =>
  assert.deepEqual(idleAllowances(src, ENTRIES, ALLOWED_EXPORTS, tests), []));
test('nothing is left to do', () => over(below('src', 'proto'), unfinished));
test('every skipped rule has its reason', () =>
  over(new Map([...all].filter(([path]) => isCode(path))), unreasoned));
test('no test is skipped without a reason', () => over(code('test'), narrowed));
test('no path of a machine', () => {
  over(all, (path, text) => machinePath(path, text, { root: ROOT.replace(/\/$/, ''), home: homedir() }));
});
test('links lead to files', () => {
  const pages = new Map([...all].filter(([path]) => path.endsWith('.md')));
  over(pages, (path, text) => deadLinks(path, text, target => existsSync(join(ROOT, target))));
});
test('the lock file names no address', () => {
  assert.doesNotMatch(lockFile, /"resolved"/);
});
test('the lock file has the packages of every system', () => {
  // npm leaves out what it could not look up when the file was written, and then `npm ci` fails everywhere.
  const { packages } = JSON.parse(lockFile) as {
    packages: Record<string, { optionalDependencies?: object }>;
  };
  const wanted = Object.values(packages).flatMap(entry => Object.keys(entry.optionalDependencies ?? {}));
  assert.deepEqual(
    wanted.filter(name => !Object.keys(packages).some(path => path.endsWith(`node_modules/${name}`))),
    [],
  );
});
