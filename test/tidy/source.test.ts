// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings here are source code under test
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blanked, exportsOf, importsOf } from './source.ts';

test('comments are blanked, strings and lines stay', () => {
  const text = "a('//x'); // y\n/* z\n */ b(`/* ${c /* d */} //`);";
  const shown = blanked(text, { strings: false });
  assert.equal(shown, "a('//x');     \n    \n    b(`/* ${c        } //`);");
});

test('the contents of strings, templates and regular expressions are blanked, what is in ${} stays', () => {
  const shown = blanked(
    "f('Date.now', \"it's\", `x ${{ a: g(`y${h}`) }.a} z`, /['\"/]/.test(i), j / k / l);",
    { strings: true },
  );
  assert.doesNotMatch(shown, /Date|it's|x |y| z`/);
  assert.match(shown, /\$\{\{ a: g\(` \$\{h\}`\) \}\.a\}/);
  assert.match(shown, /\.test\(i\), j \/ k \/ l\);$/);
});

test('tags of JSX are no regular expressions', () => {
  const text =
    "const a = <b class={c}>{d}</b>;\nconst e = <f g={h} />; // i\nconst k = l.replace(/>/g, 'm') / n;";
  const shown = blanked(text, { strings: true });
  assert.equal(
    shown,
    "const a = <b class={c}>{d}</b>;\nconst e = <f g={h} />;     \nconst k = l.replace(   g, ' ') / n;",
  );
});

test('imports of every form are found with their names and lines', () => {
  const text = [
    "import { a, type B as C } from './x.ts';",
    'import {',
    '  d,',
    "} from './y.ts';",
    "import type { E } from './z.ts';",
    "import f, * as g from './w.ts';",
    "import './v.ts';",
    "export { h } from './u.ts';",
    "export * from './t.ts';",
    "const i = await import('./s.ts');",
    "spawn(new URL('./r.ts', import.meta.url));",
    "// import { no } from './no.ts';",
  ].join('\n');
  assert.deepEqual(
    importsOf(text)
      .map(({ from, names, line }) => [from, names.join(), line])
      .sort(([a], [b]) => (String(a) < String(b) ? 1 : -1)),
    [
      ['./z.ts', 'E', 5],
      ['./y.ts', 'd', 2],
      ['./x.ts', 'a,B', 1],
      ['./w.ts', '*', 6],
      ['./v.ts', '', 7],
      ['./u.ts', 'h', 8],
      ['./t.ts', '*', 9],
      ['./s.ts', '*', 10],
      ['./r.ts', '', 11],
    ],
  );
});

test('exports of every form are found; a constant with its type is a value', () => {
  const text = [
    'export interface A {}',
    'export type B = 1;',
    'export const C = 1;',
    'export type C = typeof C;',
    'export async function* d() {}',
    'export abstract class E {}',
    'export default class {}',
    'const f = 1;',
    'export { f as g };',
    "export { h } from './x.ts';",
    '// export const i = 1;',
  ].join('\n');
  assert.deepEqual(
    exportsOf(text).map(({ name, isType }) => `${name}${isType ? ' type' : ''}`),
    ['A type', 'B type', 'C', 'd', 'E', 'default', 'g'],
  );
});
