/** Which Jaeger `make run TRACES=jaeger` takes. A stand-in for the container engine sees what it is told to do. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { collector, JAEGER_PORTS, type JaegerPorts } from '../../scripts/lib/jaeger.ts';
import { TOOLS } from '../../scripts/tools/table.ts';
import { freePort } from '../support/program.ts';

async function ports(): Promise<JaegerPorts> {
  return { otlp: await freePort(), otlpHttp: await freePort(), query: await freePort() };
}

/** Notes its arguments; what it runs in place of a container listens on the port that is to reach the web page. */
function engine(t: TestContext, name: string): { env: NodeJS.ProcessEnv; told: () => string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-engine-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const notes = join(folder, 'told');
  const listener = `require('net').createServer().listen(Number(process.argv[1]), '127.0.0.1')`;
  const script = `#!/bin/sh
echo "$@" >> '${notes}'
case "$1" in
  run)
    port=$(echo "$@" | sed 's/.*127.0.0.1:\\([0-9]*\\):${JAEGER_PORTS.query}.*/\\1/')
    '${process.execPath}' -e "${listener}" "$port" >/dev/null 2>&1 &
    echo $! ;;
  stop) kill "$2" ;;
esac
`;
  writeFileSync(join(folder, name), script);
  chmodSync(join(folder, name), 0o755);
  return {
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` },
    told: () => (existsSync(notes) ? readFileSync(notes, 'utf8').trim().split('\n') : []),
  };
}

test('a container where an engine runs: on loopback, gone with its end', async t => {
  const all = await ports();
  const { env, told } = engine(t, 'docker');
  const lines: string[] = [];
  const { endpoint, stop } = await collector(line => lines.push(line), all, env);
  assert.equal(endpoint, `http://127.0.0.1:${all.otlp}`);
  const version = `2.${TOOLS.jaeger.version.split('.')[1]}.0`;
  assert.deepEqual(told(), [
    'info',
    `run --detach --rm --publish 127.0.0.1:${all.otlp}:4317 --publish 127.0.0.1:${all.otlpHttp}:4318 --publish 127.0.0.1:${all.query}:16686 docker.io/jaegertracing/jaeger:${version}`,
  ]);
  assert.deepEqual(lines.slice(0, 2), [
    'Jaeger runs as a container of docker',
    `  http://127.0.0.1:${all.query}/search?service=heapmesh`,
  ]);
  await stop();
  assert.match(told().at(-1) as string, /^stop \d+$/);
});

test('what listens on the port of OTLP already is taken, and left running', async t => {
  const all = await ports();
  const server = createServer().listen(all.otlp, '127.0.0.1');
  t.after(() => server.close());
  const { env, told } = engine(t, 'docker');
  const lines: string[] = [];
  const { stop } = await collector(line => lines.push(line), all, env);
  assert.deepEqual(lines, [`traces go to what listens on 127.0.0.1:${all.otlp}`]);
  await stop();
  assert.deepEqual(told(), []);
});
