/** What the documentation says is so: its commands run, its files are there, its configurations are valid. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { filesBelow, ROOT } from '../../scripts/lib/project.ts';
import { buildProgram, everyCommand } from '../../src/cli/program.ts';
import { loadConfig } from '../../src/config/config.ts';
import { startKinds } from '../cli/kinds-server.ts';
import { command, type Served, serve } from '../cli/process.ts';

const PAGES = ['README.md', 'CONTRIBUTING.md', ...filesBelow('docs').filter(path => path.endsWith('.md'))];
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

interface Block {
  readonly page: string;
  readonly language: string;
  readonly text: string;
}

/** Fenced blocks of a page. */
function blocksOf(page: string): Block[] {
  const fences = read(page).matchAll(/^```(\w*)\n(.*?)^```$/gms);
  return [...fences].map(([, language = '', text = '']) => ({ page, language, text }));
}

const blocks = PAGES.flatMap(blocksOf);

/** Words as a shell splits them, as far as the pages need it; a comment ends a line. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/#.*$|'[^']*'|"[^"]*"|[^\s'"]+/g)].map(([word]) => word);
  const comment = words.findIndex(word => word.startsWith('#'));
  return (comment < 0 ? words : words.slice(0, comment)).map(word => word.replace(/^(['"])(.*)\1$/s, '$2'));
}

const isEnd = (word: string) => ['|', '&&', ';', '&', '>', '2>'].includes(word);

/** Command lines of `heapmesh` in the shell blocks of the guides, without the name. */
function commandLines(): { page: string; words: string[] }[] {
  return blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ page, text }) =>
      text
        .replaceAll('\\\n', ' ')
        .split('\n')
        .flatMap(line => {
          const words = wordsOf(line);
          const at = words.indexOf('heapmesh');
          // `npm i heapmesh` is about the package.
          if (words[0] === 'npm') return [];
          if (at < 0) return [];
          const rest = words.slice(at + 1);
          const end = rest.findIndex(isEnd);
          return [{ page, words: end < 0 ? rest : rest.slice(0, end) }];
        }),
    );
}

test('every command of the guides is there, with the flags that it is given', () => {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  const program = buildProgram({ stdin: Readable.from([]), stdout: sink, stderr: sink, env: {} });
  const lines = commandLines();
  assert.ok(lines.length > 5, 'the pages hold commands');
  for (const { page, words } of lines) {
    const said = `${page}: heapmesh ${words.join(' ')}`;
    let found = program;
    for (const word of words) {
      const next = found.commands.find(each => each.name() === word);
      if (next === undefined) break;
      found = next;
    }
    assert.notEqual(found, program, said);
    const known = everyCommand(found).flatMap(each =>
      each.options.flatMap(({ long, short }) => [long, short]),
    );
    for (const word of words) {
      const [flag = ''] = word.split('=');
      if (/^--?[a-zA-Z]/.test(flag)) assert.ok(known.includes(flag), `${said}: no flag ${flag}`);
    }
  }
});

test('every file that a page links to is there', () => {
  for (const page of PAGES) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      const [path = ''] = target.split('#');
      if (path === '' || /^[a-z]+:/.test(path)) continue;
      assert.ok(existsSync(join(ROOT, dirname(page), path)), `${page} links to ${target}`);
    }
  }
});

test('every configuration of the guides is one', () => {
  const configs = blocks.filter(({ language }) => language === 'yaml');
  assert.ok(configs.length > 0);
  // As the guides that name other machines start it: with the address of the machine or of the pod.
  const flags = { insecure: true, advertise: '192.0.2.1' };
  for (const { page, text } of configs) {
    const { warnings } = loadConfig(text, { file: page, hostname: 'h', flags });
    assert.deepEqual(warnings, [], `${page}\n${text}`);
  }
});

test('every target of make that a page names is one', () => {
  const targets = [...read('Makefile').matchAll(/^([a-z-]+):/gm)].map(([, name]) => name);
  for (const page of PAGES) {
    for (const [, name] of read(page).matchAll(/(?:^|`)make ([a-z-]+)/gm)) {
      assert.ok(targets.includes(name), `${page}: make ${name}`);
    }
  }
});

test('two servers of your own, in three commands, word for word', { timeout: 30_000 }, async () => {
  const section = read('README.md').split('## Two servers of your own, in three commands')[1] ?? '';
  const [lines = ''] = /```sh\n(.*?)```/s.exec(section)?.slice(1) ?? [];
  const commands = lines.trim().split('\n').map(wordsOf);
  assert.deepEqual(
    commands.map(words => words.slice(0, 3).join(' ')),
    ['npx heapmesh serve', 'npx heapmesh pick', 'npx heapmesh call'],
  );
  const servers = await Promise.all([startKinds('v1'), startKinds('v1')]);
  // The servers and the method are the reader's; the ports of the balancer may be taken on this machine.
  const own: Readonly<Record<string, string>> = {
    '127.0.0.1:50051': servers[0].address,
    '127.0.0.1:50052': servers[1].address,
    'my.pkg.MyService/MyMethod': 'kinds.v1.KindsService/Unary',
  };
  const [first = [], second = [], third = []] = commands.map(words =>
    words.slice(3).map(word => own[word] ?? word),
  );
  let balancer: Served | undefined;
  try {
    balancer = await serve(first);
    const env = { HEAPMESH_CONTROL: balancer.control };
    const picks = await command(['pick', ...second], { env });
    assert.equal(picks.code, 0, picks.stderr);
    for (const { address } of servers) assert.ok(picks.stdout.includes(address), picks.stdout);
    assert.match(picks.stdout, /10 picks of \*/);
    const call = await command(['call', ...third], { env });
    assert.equal(call.code, 0, call.stderr);
    assert.deepEqual(JSON.parse(call.stdout), { text: '!' });
    assert.match(call.stderr, /OK in [\d.]+ ms/);
    const top = await command(['top'], { env });
    assert.match(top.stdout, /2 servers {2}2 warming/);
    const proxied = await command(['call', ...third, '--address', balancer.proxy]);
    assert.equal(proxied.code, 0, proxied.stderr);
  } finally {
    for (const server of servers) server.close();
    await balancer?.stop();
  }
});
