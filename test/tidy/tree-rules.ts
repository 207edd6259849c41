/** Rules about `src/` as a whole: what nobody uses. */
import { resolved } from './import-rules.ts';
import { blanked, escaped, exportsOf, importsOf, type Violation } from './source.ts';

/** Text of each file by its path. */
export type Tree = ReadonlyMap<string, string>;

/** Files that no entry point reaches by imports. */
export function deadFiles(tree: Tree, entries: readonly string[]): Violation[] {
  const alive = new Set<string>();
  const visit = (path: string): void => {
    const text = tree.get(path);
    if (text === undefined || alive.has(path)) return;
    alive.add(path);
    for (const { from } of importsOf(text)) if (from.startsWith('.')) visit(resolved(path, from));
  };
  entries.forEach(visit);
  return [...tree.keys()]
    .filter(path => !alive.has(path))
    .map(path => ({ path, line: 1, says: 'no import leads here from any entry point' }));
}

/**
 * Exports that nothing else in the tree imports. A test is a use only of what its own file uses too: what
 * lives for tests alone is dead, or in `allowed` (`path#name`) with a reason. A type that its own file
 * mentions again is a part of what else it exports, and has its name for users.
 */
export function deadExports(
  tree: Tree,
  entries: readonly string[],
  allowed: ReadonlyMap<string, string>,
  tests: Tree = new Map(),
): Violation[] {
  const used = usesIn(tree, tree);
  const tested = usesIn(tests, tree);
  const dead: Violation[] = [];
  for (const [path, text] of tree) {
    if (entries.includes(path)) continue;
    const code = blanked(text, { strings: true });
    for (const { name, line, isType } of exportsOf(text)) {
      const key = `${path}#${name}`;
      if (used.has(key) || allowed.has(key)) continue;
      if (mentions(code, name) > 1 && (isType || tested.has(key))) continue;
      dead.push({ path, line, says: `${name} is exported, and nothing in src imports it` });
    }
  }
  return dead;
}

/** What `files` import of `tree`, as `path#name`. */
function usesIn(files: Tree, tree: Tree): Set<string> {
  const used = new Set<string>();
  for (const [path, text] of files) {
    const code = blanked(text, { strings: true });
    for (const { from, names } of importsOf(text)) {
      if (!from.startsWith('.')) continue;
      const target = resolved(path, from);
      const all = names.includes('*') ? starUses(code, exportsOf(tree.get(target) ?? '')) : [];
      for (const name of [...names, ...all]) used.add(`${target}#${name}`);
    }
  }
  return used;
}

/** With `import *`, `export *` or `import()`, the names that the importing file mentions; all where it hands all on. */
function starUses(code: string, exported: readonly { name: string }[]): string[] {
  const handsOn = /^export \*/m.test(code);
  return exported.map(each => each.name).filter(name => handsOn || mentions(code, name) > 0);
}

function mentions(code: string, name: string): number {
  return [...code.matchAll(new RegExp(`(?<![\\w$])${escaped(name)}(?![\\w$])`, 'g'))].length;
}

/** Entries of the list of exceptions that except nothing any more. */
export function idleAllowances(
  tree: Tree,
  entries: readonly string[],
  allowed: ReadonlyMap<string, string>,
  tests: Tree = new Map(),
): string[] {
  const dead = deadExports(tree, entries, new Map(), tests).map(
    ({ path, says }) => `${path}#${says.split(' ')[0]}`,
  );
  return [...allowed.keys()].filter(key => !dead.includes(key));
}
