/** Rules about the text of one file. */
import { posix } from 'node:path';
import { blanked, escaped, lineAt, type Violation } from './source.ts';

/** A file holds one idea and reads in one sitting; beyond this it surely does not. */
const LINES = 500;

export function tooLong(path: string, text: string): Violation[] {
  const lines = text.trimEnd().split('\n').length;
  return lines <= LINES
    ? []
    : [{ path, line: LINES + 1, says: `has ${lines} lines, at most ${LINES} are read in one sitting` }];
}

function everywhere(
  path: string,
  text: string,
  pattern: RegExp,
  says: (match: string) => string,
): Violation[] {
  return [...text.matchAll(pattern)].map(match => ({
    path,
    line: lineAt(text, match.index),
    says: says(match[0]),
  }));
}

/** Words that say that something is left to do. */
export function unfinished(path: string, text: string): Violation[] {
  const words = /\b(?:TODO|FIXME|XXX|HACK|WIP)\b|\b(?:not (?:yet )?implemented|placeholder|stub(?:bed)?)\b/gi;
  return everywhere(path, text, words, match => `"${match}": finish it, or say what is so`);
}

/** A rule of linter or compiler that is off without a reason beside it. */
export function unreasoned(path: string, text: string): Violation[] {
  const marks = /(?:biome-ignore(?:-all|-start)?\s+[\w/]+|@ts-(?:expect-error|ignore|nocheck))(.*)/g;
  return [...text.matchAll(marks)]
    .filter(match => !/[A-Za-z]{2,}\W+\w+\W+[A-Za-z]{2,}/.test(match[1] ?? ''))
    .map(match => ({
      path,
      line: lineAt(text, match.index),
      says: `${match[0].trim()}: say why, in a sentence`,
    }));
}

/** Tests that narrow a run to themselves, and tests that are skipped without a reason. */
export function narrowed(path: string, text: string): Violation[] {
  const code = blanked(text, { strings: true });
  return [
    ...everywhere(path, code, /\.only\(|\bonly: true\b/g, match => `${match} leaves all other tests out`),
    ...everywhere(
      path,
      code,
      /\b(?:test|it|describe|suite)\.(?:skip|todo)\(|\b(?:skip|todo): (?:true\b|![^&?|}]*\})/g,
      match => {
        return `${match} gives no reason: write { skip: 'why' }`;
      },
    ),
  ];
}

export interface Machine {
  /** Where the checkout is. */
  readonly root: string;
  readonly home: string;
}

/** Paths that exist on one machine alone: of this checkout, of this home, of anybody's home. */
export function machinePath(path: string, text: string, { root, home }: Machine): Violation[] {
  // A root such as "/" or "/app" says nothing of a machine.
  const own = [root, home]
    .filter(folder => folder.split('/').length > 2)
    .map(folder => `${escaped(folder)}(?![\\w-])`);
  const anyones = '(?<![\\w.~-])/(?:home|Users)/[a-z][\\w-]*/';
  return everywhere(
    path,
    text,
    new RegExp([...own, anyones].join('|'), 'g'),
    match => `${match} is a path of one machine`,
  );
}

/** Links of a page to files that are not there; `exists` takes a path from the root of the checkout. */
export function deadLinks(path: string, text: string, exists: (path: string) => boolean): Violation[] {
  return [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)]
    .filter(match => !exists(posix.join(posix.dirname(path), match[1] ?? '')))
    .map(match => ({
      path,
      line: lineAt(text, match.index),
      says: `links to ${match[1]}, which is not there`,
    }));
}
