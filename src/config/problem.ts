/** What is wrong with a configuration, and where. */
import type { z } from 'zod';
import { closest } from './closest.ts';
import { describeValue } from './kinds.ts';
import { keysAt, placesOf } from './reference.ts';
import type { Source } from './source.ts';

export type Path = readonly (string | number)[];

export interface Problem {
  /** The file, or the flag that the value came from. */
  readonly file: string;
  /** From 1; absent for a flag and for what concerns the file as a whole. */
  readonly line?: number;
  readonly column?: number;
  /** Keys and positions in lists down to the value. */
  readonly path: Path;
  /** What was wrong and what was expected. */
  readonly message: string;
}

/** `heapmesh.yaml:3:12: control.reportInterval is 5 (it has no unit); expected ...` on one line. */
export function renderProblem(problem: Problem): string {
  const place =
    problem.line === undefined ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
  const path = renderPath(problem.path);
  return `${place}: ${path === '' ? '' : `${path} `}${problem.message}`;
}

export function renderPath(path: Path): string {
  let text = '';
  for (const part of path)
    text += typeof part === 'number' ? `[${part}]` : `${text === '' ? '' : '.'}${part}`;
  return text;
}

/** Words an issue of the schema; a map with three unknown keys makes three problems. */
export function fromIssue(issue: z.core.$ZodIssue, source: Source): Problem[] {
  const path = issue.path as Path;
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map(key => {
        const { message } = unknownKey(path, key);
        return { ...source.problem(path, message, key), path: [...path, key] };
      });
    case 'invalid_type': {
      const wanted = issue.expected === 'array' ? 'a list' : 'a map of keys';
      return [source.problem(path, `${describeValue(valueAt(source.raw, path))}; expected ${wanted}`)];
    }
    case 'too_big':
      return [source.problem(path, `has too many items; expected at most ${issue.maximum}`)];
    case 'too_small':
      return [source.problem(path, `has too few items; expected at least ${issue.minimum}`)];
    default:
      return [source.problem(path, issue.message)];
  }
}

function valueAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, part) => (value as Record<string | number, unknown> | undefined)?.[part],
    raw,
  );
}

function unknownKey(path: Path, key: string): { message: string } {
  const known = keysAt(path);
  const near = closest(key, known);
  if (near !== undefined) return { message: `is no key; did you mean '${near}'?` };
  const elsewhere = placesOf(key).filter(place => place !== renderPath(path));
  const hint = elsewhere.length > 0 ? `; there is '${elsewhere[0]}'` : '';
  return { message: `is no key${hint}; expected one of ${known.join(', ')}` };
}
