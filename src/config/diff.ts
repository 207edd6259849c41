/** What changed between two configurations, and which of it a running balancer can take over. */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config.ts';
import { type Path, renderPath } from './problem.ts';
import { infoOf } from './reference.ts';

export interface Change {
  /** As the file spells it, such as `health.interval` or `servers`. */
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
}

export interface Diff {
  /** Takes effect now. */
  readonly live: readonly Change[];
  /** Takes effect at the next start. */
  readonly restart: readonly Change[];
  /** What is in force after the reload: the new values of `live`, the old ones of `restart`. */
  readonly config: Config;
}

/** Compares key by key; lists (`servers`, `pools`) are compared as a whole. Changes nothing. */
export function diff(old: Config, next: Config): Diff {
  const live: Change[] = [];
  const restart: Change[] = [];
  const visit = (before: unknown, after: unknown, path: Path): unknown => {
    if (isMap(before) && isMap(after)) {
      const merged: Record<string, unknown> = {};
      for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
        const value = visit(before[key], after[key], [...path, key]);
        if (value !== undefined) merged[key] = value;
      }
      return merged;
    }
    if (isDeepStrictEqual(before, after)) return before;
    const info = infoOf(path);
    const change = { key: fileKey(path, info?.unit), before, after };
    if (info?.live === true) {
      live.push(change);
      return after;
    }
    restart.push(change);
    return before;
  };
  return { config: visit(old, next, []) as Config, live, restart };
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function fileKey(path: Path, unit: string | undefined): string {
  const text = renderPath(path);
  return unit !== undefined && text.endsWith(unit) ? text.slice(0, -unit.length) : text;
}
