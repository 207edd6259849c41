/** Pictures of terminals: what is text stays text, and columns have their places. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { framesOf, terminalSvg } from '../../scripts/docs/terminal.ts';

test('a full-screen program is cut into what it showed, one after the other', () => {
  const output =
    '\x1b[?1049h\x1b[?25l\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J\x1b[H\x1b[1mthree\x1b[22m\x1b[K\x1b[J\x1b[?1049l';
  assert.deepEqual(framesOf(output), ['one\ntwo', '\x1b[1mthree\x1b[22m']);
});

test('colours, places and characters of XML', () => {
  const svg = terminalSvg('\x1b[1m\x1b[31ma<b\x1b[39m\x1b[22m  c & d\n\x1b[2mlast\x1b[22m\n', 'heapmesh "x"');
  const words = [
    ...svg.matchAll(/<text x="([\d.]+)" y="(\d+)" fill="(#\w+)"( font-weight="700")? [^>]*>([^<]*)</g),
  ];
  assert.deepEqual(
    words.map(([, x, , fill, bold, text]) => [Number(x), fill, bold !== undefined, text]),
    [
      [329.5, '#8b96a3', false, 'heapmesh\u00a0"x"'],
      [16, '#ff7b72', true, 'a&lt;b'],
      [55.1, '#d7dde4', false, 'c'],
      [70.8, '#d7dde4', false, '&amp;'],
      [86.5, '#d7dde4', false, 'd'],
      [16, '#8b96a3', false, 'last'],
    ],
  );
  assert.match(svg, /aria-label="heapmesh\u00a0&quot;x&quot;"/);
});
