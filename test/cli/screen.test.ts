/** The full screen: put back in any case, and no line of it wraps. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { openScreen } from '../../src/cli/screen.ts';

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const SCREEN = new URL('../../src/cli/screen.ts', import.meta.url).href;

function terminal(columns: number, rows: number) {
  let shown = '';
  const write = (chunk: Buffer, _encoding: string, done: () => void) => {
    shown += chunk;
    done();
  };
  const stdout = Object.assign(new Writable({ write }), { isTTY: true, columns, rows });
  let raw = false;
  const setRawMode = (on: boolean) => {
    raw = on;
  };
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode });
  const io = { stdin, stdout, stderr: stdout, env: {} };
  return { io, shown: () => shown, isRaw: () => raw };
}

for (const key of ['q', 'Q', '\x03', '\x04']) {
  test(`key ${JSON.stringify(key)} leaves; other keys are handed on; the terminal is as it was`, async () => {
    const { io, shown, isRaw } = terminal(40, 5);
    const listeners = process.listenerCount('SIGTERM');
    const keys: string[] = [];
    const screen = openScreen(
      io,
      () => {},
      each => keys.push(each),
    );
    assert.ok(isRaw());
    screen.draw('1\n2\n3\n4\n5\n6');
    assert.ok(!shown().includes('6'), 'more lines than the terminal has');
    io.stdin.write('\x1b[A');
    // Pressed while the process was busy.
    io.stdin.write(`xy${key}z`);
    if (!screen.left.aborted) await once(screen.left, 'abort');
    screen.close();
    screen.close();
    assert.deepEqual(keys, ['x', 'y']);
    assert.ok(shown().startsWith(ENTER));
    assert.equal(shown().split(LEAVE).length, 2);
    assert.ok(!isRaw());
    assert.equal(process.listenerCount('SIGTERM'), listeners);
  });
}

test('a crash, or an exit in the middle, puts the terminal back first', async () => {
  for (const [end, code] of [
    ["setImmediate(() => { throw new Error('boom'); })", 1],
    ['process.exit(3)', 3],
  ] as const) {
    const program = `import { openScreen } from ${JSON.stringify(SCREEN)};
      openScreen({ stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: {} }, () => {});
      ${end};`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    child.stdout.on('data', chunk => (stdout += chunk));
    child.stderr.resume();
    const [ended] = await once(child, 'close');
    assert.equal(ended, code);
    assert.equal(stdout, ENTER + LEAVE, end);
  }
});
