/** The package as a user gets it: packed, installed into an empty folder, imported, run. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pinnedEnv, ROOT } from '../../scripts/lib/project.ts';

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

interface Manifest {
  readonly version: string;
  readonly exports: Record<string, string | Record<string, string>>;
  readonly bin: Record<string, string>;
}

/** No user needs more; today it is a fifth of that. */
const LARGEST_BYTES = 2 * 1024 * 1024;

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
const ENTRIES = ['heapmesh', 'heapmesh/client', 'heapmesh/backend'];

let folder: string;
let packed: Packed;

/** Runs a program in the user's folder and returns what it printed; the error has all of it where it fails. */
function run(command: string, ...args: string[]): string {
  const env = pinnedEnv();
  // Of an `npm run` or a test runner around this: they would make npm and node mean this checkout.
  for (const name of Object.keys(env)) {
    if (/^(npm_package_|npm_lifecycle_|npm_config_local_prefix|NODE_OPTIONS|NODE_TEST_)/.test(name))
      delete env[name];
  }
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}${stderr}`);
  return stdout;
}

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

before(() => {
  assert.ok(existsSync(join(ROOT, 'dist')), 'there is no dist/: run make build');
  folder = mkdtempSync(join(tmpdir(), 'heapmesh-package-'));
  const told = run('npm', 'pack', ROOT, '--json', '--ignore-scripts', '--pack-destination', folder);
  const [first] = JSON.parse(told) as Packed[];
  assert.ok(first !== undefined);
  packed = first;
  write('package.json', JSON.stringify({ name: 'a-user', private: true, type: 'module' }));
  run('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', `./${packed.filename}`);
});

after(() => rmSync(folder, { recursive: true, force: true }));

test('it has what users need, and neither tests nor sources', () => {
  const paths = packed.files.map(file => file.path);
  const strange = paths.filter(
    path => !/^(dist\/|proto\/|(README|CHANGELOG)\.md$|LICENSE$|package\.json$)/.test(path),
  );
  assert.deepEqual(strange, []);
  assert.deepEqual(
    paths.filter(path => /\.test\.|(^|\/)test\/|(?<!\.d)\.ts$/.test(path)),
    [],
  );
  for (const wanted of ['LICENSE', 'README.md', 'CHANGELOG.md', 'proto/heapmesh/v1/lookaside.proto']) {
    assert.ok(paths.includes(wanted), wanted);
  }
  assert.ok(packed.size < LARGEST_BYTES, `${packed.size} bytes`);
});

test('every export and the command are files of it', () => {
  const installed = join(folder, 'node_modules/heapmesh');
  const targets = Object.values(manifest.exports).flatMap(target =>
    typeof target === 'string'
      ? [target]
      : // This one is for the checkout alone.
        Object.entries(target).flatMap(([condition, path]) =>
          condition === 'heapmesh-source' ? [] : [path],
        ),
  );
  for (const target of targets) assert.ok(existsSync(join(installed, target)), target);
  for (const bin of Object.values(manifest.bin)) accessSync(join(installed, bin), constants.X_OK);
});

test('npx heapmesh version says its version', () => {
  assert.match(
    run('npx', '--no-install', 'heapmesh', 'version'),
    new RegExp(manifest.version.replaceAll('.', '\\.')),
  );
});

for (const entry of ENTRIES) {
  test(`${entry} can be imported, and required by a CommonJS user`, () => {
    const esm = write(
      'use.mjs',
      `import * as all from '${entry}'; console.log(Object.keys(all).sort().join());`,
    );
    const cjs = write('use.cjs', `console.log(Object.keys(require('${entry}')).sort().join());`);
    const names = run('node', esm).trim();
    assert.notEqual(names, '', 'it exports nothing');
    const required = run('node', cjs).trim().split(',');
    assert.deepEqual(
      required.filter(name => name !== '__esModule' && name !== 'module.exports').join(),
      names,
    );
  });
}

test('the SDKs load no part of the balancer, and no package of its own', () => {
  for (const sdk of ['client', 'backend']) {
    const print = "console.log([...new Set(seen)].filter(url => url.startsWith('file:')).join('\\n'));";
    const file = write(
      'loads.mjs',
      `import { registerHooks } from 'node:module';
       const seen = [];
       registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } });
       await import('heapmesh/${sdk}');
       ${print}`,
    );
    const loaded = run('node', file)
      .trim()
      .split('\n')
      .filter(url => !url.endsWith('/loads.mjs'));
    assert.ok(loaded.length > 10, loaded.join());
    // grpc-js brings packages of its own; what is ours is below heapmesh/dist.
    const foreign = /node_modules\/(?:nice-grpc[^/]*|commander|zod|yaml|pino)\//;
    const ours = new RegExp(`/heapmesh/dist/(?!${sdk}/|core/|grpc/|http2/|gen/)`);
    assert.deepEqual(
      loaded.filter(url => foreign.test(url) || ours.test(url)),
      [],
    );
  }
});

/** Each takes a type from its entry and uses it, so that an entry whose types are lost does not compile. */
const USE = `
import * as heapmesh from 'heapmesh';
import * as client from 'heapmesh/client';
import * as backend from 'heapmesh/backend';

type IsAny<T> = 0 extends 1 & T ? true : false;
const embedded: IsAny<typeof heapmesh.Mesh> = false;
const calling: IsAny<typeof client.registerHeapmesh> = false;
const reporting: IsAny<typeof backend.createLoadReporter> = false;
const reporter: backend.LoadReporter = backend.createLoadReporter({ balancers: ['127.0.0.1:4701'], services: ['*'] });
console.log(embedded, calling, reporting, reporter);
// @ts-expect-error: options are checked, so the types are there
backend.createLoadReporter({ balancers: 1 });
`;

test('TypeScript finds the types, with the settings that tsc --init writes', () => {
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  mkdirSync(join(folder, 'typed'));
  writeFileSync(join(folder, 'typed/use.ts'), USE);
  run(tsc, '--init');
  run(tsc, '--noEmit');
});

test('TypeScript finds the types for a bundler, with the libraries checked too', () => {
  const settings = {
    compilerOptions: {
      module: 'esnext',
      moduleResolution: 'bundler',
      strict: true,
      noEmit: true,
      types: ['node'],
      skipLibCheck: false,
    },
    include: ['typed'],
  };
  write('tsconfig.json', JSON.stringify(settings));
  run(join(ROOT, 'node_modules/.bin/tsc'));
});
