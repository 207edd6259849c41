/**
 * Reporter for a test file that runs as a process of its own: a line of JSON for each failure and each
 * skipped test, and the counts last. `files.ts` reads them.
 */
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Told {
  readonly test: string;
  readonly place: string;
  readonly why: string;
}

export type Line =
  | ({ readonly kind: 'failed' } & Told)
  | ({ readonly kind: 'skipped' } & Told)
  | { readonly kind: 'counts'; readonly counts: Counts };

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of source) {
    if (type === 'test:fail') {
      const error: Error & { failureType?: string } = data.details.error;
      // A test that fails only because one inside it failed says nothing new.
      if (error.failureType === 'subtestsFailed') continue;
      yield told('failed', data, inspect(error.cause ?? error, { depth: 8 }));
    } else if (type === 'test:pass' && data.skip !== undefined && data.skip !== false) {
      yield told('skipped', data, data.skip === true ? 'no reason given' : data.skip);
    } else if (type === 'test:summary') {
      const { tests, passed, skipped, todo } = data.counts;
      const left = skipped + todo;
      yield json({ kind: 'counts', counts: { passed, failed: tests - passed - left, skipped: left } });
    }
  }
}

type Place = { name: string; file?: string | undefined; line?: number | undefined };

function told(kind: 'failed' | 'skipped', { name, file, line }: Place, why: string): string {
  return json({ kind, test: name, place: `${relative(process.cwd(), file ?? '')}:${line ?? 0}`, why });
}

function json(line: Line): string {
  return `${JSON.stringify(line)}\n`;
}
