/** Rules about what a file of `src/` may import and touch. */
import { posix } from 'node:path';
import {
  BUNDLED,
  INTERFACE,
  MAY_IMPORT,
  ONLY_IN,
  PURE,
  PURE_MODULES,
  SDK_PACKAGES,
  SDKS,
} from './folders.ts';
import { blanked, importsOf, lineAt, type Violation } from './source.ts';

/** `src/core/heap.ts` → `core`; `src/index.ts`, which wires like `cli`, → `cli`. */
export function folderOf(path: string): string {
  const [, folder = '', ...below] = path.split('/');
  return below.length === 0 ? 'cli' : folder;
}

/** The path that a relative import means, as a source file. */
export function resolved(path: string, from: string): string {
  return posix.join(posix.dirname(path), from).replace(/\.js$/, '.ts');
}

/** Imports between folders and of packages, against the table in `folders.ts`. */
export function wrongWay(path: string, text: string): Violation[] {
  const folder = folderOf(path);
  return importsOf(text).flatMap(({ from, line }) => {
    const says = from.startsWith('.') ? wrongFolder(path, folder, from) : wrongPackage(folder, from);
    return says === undefined ? [] : [{ path, line, says }];
  });
}

function wrongFolder(path: string, folder: string, from: string): string | undefined {
  const target = resolved(path, from);
  if (!target.startsWith('src/'))
    return target === 'package.json' ? undefined : `imports ${target}, which is not published`;
  const other = folderOf(target);
  if (other === folder) return undefined;
  const allowed = MAY_IMPORT[folder];
  if (allowed !== undefined) {
    return allowed.includes('*') || allowed.includes(other)
      ? undefined
      : `${folder} does not import ${other} (${from})`;
  }
  if (PURE.includes(other) || other === 'gen') return undefined;
  const face = `src/${other}/${INTERFACE[other] ?? `${other}.ts`}`;
  return target === face ? undefined : `${folder} knows ${other} by ${face} alone, not by ${target}`;
}

function wrongPackage(folder: string, from: string): string | undefined {
  if (from.startsWith('node:')) {
    return PURE.includes(folder) && !PURE_MODULES.includes(from)
      ? `${folder} is pure and does not import ${from}`
      : undefined;
  }
  const name = packageOf(from);
  if (PURE.includes(folder)) return `${folder} is pure and imports no package (${from})`;
  if (SDKS.includes(folder) && !SDK_PACKAGES.includes(name)) {
    return `${folder} is loaded into users' processes and imports ${SDK_PACKAGES.join(' and ')} alone, not ${from}`;
  }
  const rule = ONLY_IN.find(each => each.package.test(name));
  if (rule === undefined || rule.folders.includes(folder)) return undefined;
  return `${name} is for ${rule.folders.join(', ')} alone, not for ${folder}`;
}

/** `@grpc/grpc-js/build/x` → `@grpc/grpc-js`. */
export function packageOf(from: string): string {
  return from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');
}

const isBundled = (path: string): boolean => path.startsWith(`${BUNDLED.folder}/`);

/** Imports across the edge of what is built for browsers. */
export function acrossBundle(path: string, text: string): Violation[] {
  return importsOf(text).flatMap(({ from, line }) => {
    const says = isBundled(path) ? wrongForBrowsers(path, from) : wrongOfBrowsers(path, from);
    return says === undefined ? [] : [{ path, line, says }];
  });
}

function wrongForBrowsers(path: string, from: string): string | undefined {
  if (!from.startsWith('.')) {
    const allowed: readonly string[] = BUNDLED.packages;
    return allowed.includes(packageOf(from))
      ? undefined
      : `browsers get ${allowed.join(' and ')} alone, not ${from}`;
  }
  const target = resolved(path, from);
  const allowed: readonly string[] = BUNDLED.files;
  return isBundled(target) || allowed.includes(target)
    ? undefined
    : `${target} is no part of what browsers get`;
}

function wrongOfBrowsers(path: string, from: string): string | undefined {
  if (!from.startsWith('.') || !isBundled(resolved(path, from))) return undefined;
  return `${from} is built for browsers and is no module of the balancer`;
}

/** Packages that `package.json` does not bring to a user; `declared` are those that it does. */
export function undeclared(path: string, text: string, declared: readonly string[]): Violation[] {
  // Its packages are built into it.
  if (isBundled(path)) return [];
  return importsOf(text)
    .filter(
      ({ from }) => !from.startsWith('.') && !from.startsWith('node:') && !declared.includes(packageOf(from)),
    )
    .map(({ from, line }) => ({ path, line, says: `${packageOf(from)} is no dependency in package.json` }));
}

const IMPURE: readonly [RegExp, string][] = [
  [/\bDate\.now\b|\bnew Date\(\s*\)/g, 'reads the clock: take the time as an argument'],
  [/\bperformance\s*\./g, 'reads the clock: take the time as an argument'],
  [/\bMath\.random\b|\bcrypto\s*\./g, 'is random: take randomness as an argument'],
  [/\bprocess\s*\./g, 'reads the environment: take it as an argument'],
  [
    /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g,
    'keeps a timer: its owner calls it in time',
  ],
  [/\bfetch\(|\bnew WebSocket\b/g, 'opens a socket: take a function as an argument'],
  [/\bconsole\s*\./g, 'prints: return it or take a function as an argument'],
];

/** Clock, randomness, environment, timers and output in a pure folder. */
export function impure(path: string, text: string): Violation[] {
  if (!PURE.includes(folderOf(path))) return [];
  const code = blanked(text, { strings: true });
  return IMPURE.flatMap(([pattern, says]) =>
    [...code.matchAll(pattern)].map(match => ({
      path,
      line: lineAt(code, match.index),
      says: `${match[0]} ${says}`,
    })),
  );
}
