/**
 * Renews the pictures of the README from what the commands print: runs the demo on a terminal of its own
 * (`script` of util-linux), lets the standby join, looks at the heap from outside, and draws both; then the console,
 * in Chromium.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { consolePictures } from './docs/console.ts';
import { framesOf, terminalSvg } from './docs/terminal.ts';
import { ROOT } from './lib/project.ts';

const MAIN = join(ROOT, 'dist/cli/main.js');
const CONTROL = '127.0.0.1:4701';
/** Beyond the 10 s of warm-up, so that the servers are ACTIVE and the standby is not. */
const JOIN_AFTER_S = 14;
const LOOK_AFTER_S = 21;

/** A command line that sees a terminal of this size. */
function onTerminal(columns: number, rows: number, args: readonly string[]): string[] {
  const command = [process.execPath, MAIN, ...args].map(word => `'${word}'`).join(' ');
  return ['-q', '-e', '-c', `stty cols ${columns} rows ${rows}; exec ${command}`, '/dev/null'];
}

const env = { ...process.env, TERM: 'xterm-256color', NO_COLOR: '' };
const demo = spawn(
  'script',
  onTerminal(112, 40, ['demo', '--join', `${JOIN_AFTER_S}s`, '--control', CONTROL]),
  {
    // Its standard input stays open: at its end `script` would type Ctrl-D.
    stdio: ['pipe', 'pipe', 'inherit'],
    env,
  },
);
let output = '';
demo.stdout.setEncoding('utf8').on('data', chunk => (output += chunk));
const ended = once(demo, 'exit');
await sleep(LOOK_AFTER_S * 1_000);
const screen = framesOf(output).at(-2);
const heap = execFileSync('script', onTerminal(112, 40, ['heap', '--control', CONTROL]), {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
  env,
});
demo.stdin.write('q');
await ended;
if (screen === undefined) throw new Error(`the demo drew nothing: ${output}`);

const pictures = {
  'docs/images/demo.svg': terminalSvg(screen, 'heapmesh demo'),
  'docs/images/heap.svg': terminalSvg(heap.replaceAll('\r', ''), 'heapmesh heap'),
};
for (const [path, svg] of Object.entries(pictures)) {
  writeFileSync(join(ROOT, path), svg);
  console.log(`pictures: ${path}`);
}
for (const path of await consolePictures()) console.log(`pictures: ${path}`);
