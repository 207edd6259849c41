/** Reads a source file as far as the tidy rules need it: no parser, the formatter gives the text its form. */

export interface Violation {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly says: string;
}

export interface Import {
  /** As written. */
  readonly from: string;
  /** The names on the other side; `*` for all of them. */
  readonly names: readonly string[];
  readonly line: number;
}

export interface Export {
  readonly name: string;
  readonly line: number;
  /** An interface or type. */
  readonly isType: boolean;
}

/** The line of an offset, from 1. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** A text as a regular expression that matches it alone. */
export function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}

/**
 * After these a slash begins a regular expression and no division. A `<` directly before it begins a closing
 * tag of JSX, and a `}` before `/>` ends an element's last attribute.
 */
const BEFORE_REGEXP = /(?:^|[(,=:[!&|?{};+\-*%>~^]|<(?=\s)|\b(?:return|typeof|case|of|in|await|yield))\s*$/;
const ENDS_ELEMENT = /\}\s*$/;

function startsRegExp(before: string, next: string | undefined): boolean {
  return BEFORE_REGEXP.test(before) && !(next === '>' && ENDS_ELEMENT.test(before));
}

/** The text with comments blanked, and with `strings` the contents of strings too; lengths and lines stay. */
export function blanked(text: string, { strings }: { strings: boolean }): string {
  let out = '';
  let i = 0;
  // For each open `${`, how many braces are open inside it.
  const templates: number[] = [];
  const take = (end: number, blank: boolean): void => {
    const part = text.slice(i, end);
    out += blank ? part.replaceAll(/[^\n]/g, ' ') : part;
    i = end;
  };
  const templatePart = (): void => {
    const end = /(?:\\[\s\S]|(?!\$\{)[^`\\])*/y;
    end.lastIndex = i;
    take(i + (end.exec(text)?.[0].length ?? 0), strings);
    if (text.startsWith('${', i)) {
      take(i + 2, false);
      templates.push(0);
    } else {
      take(i + 1, false);
    }
  };
  while (i < text.length) {
    const char = text[i];
    const depth = templates.length - 1;
    if (text.startsWith('//', i)) {
      const end = text.indexOf('\n', i);
      take(end === -1 ? text.length : end, true);
    } else if (text.startsWith('/*', i)) {
      const end = text.indexOf('*/', i + 2);
      take(end === -1 ? text.length : end + 2, true);
    } else if (char === "'" || char === '"') {
      const end = char === "'" ? /'(?:\\[\s\S]|[^'\\\n])*/y : /"(?:\\[\s\S]|[^"\\\n])*/y;
      end.lastIndex = i;
      const length = end.exec(text)?.[0].length ?? 1;
      take(i + 1, false);
      take(i + length - 1, strings);
      take(i + 1, false);
    } else if (char === '`') {
      take(i + 1, false);
      templatePart();
    } else if (char === '/' && startsRegExp(out.slice(-40), text[i + 1])) {
      const end = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\//y;
      end.lastIndex = i;
      take(i + (end.exec(text)?.[0].length ?? 1), strings);
    } else if (char === '}' && templates[depth] === 0) {
      templates.pop();
      take(i + 1, false);
      templatePart();
    } else {
      if (depth >= 0 && char === '{') templates[depth] = (templates[depth] ?? 0) + 1;
      if (depth >= 0 && char === '}') templates[depth] = (templates[depth] ?? 0) - 1;
      take(i + 1, false);
    }
  }
  return out;
}

/** Static and dynamic imports, re-exports, and files named by `new URL('./x.ts', import.meta.url)`. */
export function importsOf(text: string): Import[] {
  const code = blanked(text, { strings: false });
  const found: Import[] = [];
  const add = (match: RegExpExecArray, from: string | undefined, names: readonly string[]): void => {
    if (from !== undefined) found.push({ from, names, line: lineAt(text, match.index) });
  };
  for (const match of code.matchAll(/^(?:import|export)\s(?:type\s)?([^;'"`]*?)\sfrom\s['"]([^'"]+)['"]/gm)) {
    add(match, match[2], namesOf(match[1] ?? ''));
  }
  for (const match of code.matchAll(/^import '([^']+)'/gm)) add(match, match[1], []);
  for (const match of code.matchAll(/\bimport\(\s*'([^']+)'/g)) add(match, match[1], ['*']);
  for (const match of code.matchAll(/\bnew URL\(\s*'(\.[^']+)',\s*import\.meta\.url/g))
    add(match, match[1], []);
  return found;
}

/** `x, { a, type b as c }` → `default`, `a`, `b`. */
function namesOf(clause: string): string[] {
  const list = /\{([^}]*)\}/.exec(clause)?.[1];
  const before = clause
    .replace(/\{[^}]*\}/, '')
    .replaceAll(/[\s,]+/g, ' ')
    .trim();
  const names = (list ?? '')
    .split(',')
    .map(
      item =>
        item
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)[0] ?? '',
    )
    .filter(name => name !== '');
  if (before.includes('*')) names.push('*');
  else if (before !== '') names.push('default');
  return names;
}

const DECLARATION =
  /^export (?:declare )?(?:(default)\b|(?:abstract |async )*(?:(interface|type)|class|const|let|function)\b\*?\s*([A-Za-z_$][\w$]*))/gm;

/** What a file exports by declarations and lists; re-exports are imports. */
export function exportsOf(text: string): Export[] {
  const code = blanked(text, { strings: true });
  const found = new Map<string, Export>();
  const add = (name: string, at: number, isType: boolean): void => {
    // A constant and its type share a name; such a pair is a value.
    const before = found.get(name);
    found.set(name, {
      name,
      line: before?.line ?? lineAt(text, at),
      isType: isType && (before?.isType ?? true),
    });
  };
  for (const match of code.matchAll(DECLARATION)) {
    add(match[1] ?? match[3] ?? '', match.index, match[2] !== undefined);
  }
  for (const match of code.matchAll(/^export (type )?\{([^}]*)\};/gm)) {
    for (const item of (match[2] ?? '').split(',')) {
      const name =
        item
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)
          .at(-1) ?? '';
      if (name !== '') add(name, match.index, match[1] !== undefined);
    }
  }
  return [...found.values()];
}
