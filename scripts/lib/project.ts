/** What the scripts share: where things are, and how a step knows that it has nothing to do. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** The environment for child processes: `node` and the packages' commands are the pinned ones. */
export function pinnedEnv(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env.PATH ?? ''}`,
  };
}

/** All files below a file or folder of the checkout, relative to its root, sorted. A missing one has none. */
export function filesBelow(path: string): string[] {
  const full = join(ROOT, path);
  if (!existsSync(full)) return [];
  if (statSync(full).isFile()) return [path];
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();
}

/** A digest over names and contents of the files below `paths`, and over `more`. */
export function digest(paths: readonly string[], more: readonly string[] = []): string {
  const hash = createHash('sha256');
  for (const text of more) hash.update(text).update('\0');
  for (const file of paths.flatMap(filesBelow)) {
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(ROOT, file)))
      .update('\0');
  }
  return hash.digest('hex');
}

/**
 * Runs `step` unless it ran before with the same `key` and `output` is still there. The key is kept in
 * `.make/`, by content and not by time, so that switching branches back and forth repeats nothing wrongly.
 */
export async function unlessDone(
  name: string,
  key: string,
  output: string,
  step: () => void | Promise<void>,
): Promise<void> {
  const stamp = join(ROOT, '.make', name);
  if (existsSync(join(ROOT, output)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === key) return;
  await step();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, key);
}
