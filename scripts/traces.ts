/**
 * Runs a command whose traces go to a Jaeger: `traces.ts jaeger -- FILE ARGUMENTS`, FILE for this Node. What listens on
 * 4317 already is taken; else a container is started, where an engine runs; else Jaeger is built, and runs as long as
 * the command does. Everything listens on loopback alone.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureTools, toolPath } from './tools/install.ts';
import { TOOLS } from './tools/table.ts';

const HOST = '127.0.0.1';
const OTLP = 4317;
const OTLP_HTTP = 4318;
const QUERY = 16_686;
/** Of the same release as the tool. */
const IMAGE = `docker.io/jaegertracing/jaeger:2.${TOOLS.jaeger.version.split('.')[1]}.0`;
/** Every tenth call that begins at a caller. */
const RATIO = '0.1';

const [kind, dashes, ...command] = process.argv.slice(2);
if (kind !== 'jaeger' || dashes !== '--' || command.length === 0) {
  console.error('traces: expected: jaeger -- FILE ARGUMENTS (make run TRACES=jaeger)');
  process.exit(2);
}

const stop = await collector();
const child = spawn(process.execPath, command, {
  stdio: 'inherit',
  env: {
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: RATIO,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${HOST}:${OTLP}`,
    ...process.env,
  },
});
// The terminal tells both; the command ends first.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
const [code, signal] = await once(child, 'exit');
say('traces are there as long as Jaeger runs');
await stop();
process.exitCode = code ?? (signal === null ? 0 : 1);

/** Something takes spans on 4317; resolves with what ends it. */
async function collector(): Promise<() => Promise<void>> {
  if (await listens(OTLP)) {
    say(`traces go to what listens on ${HOST}:${OTLP}`);
    links(await listens(QUERY));
    return async () => {};
  }
  const engine = ['docker', 'podman'].find(
    name => spawnSync(name, ['info'], { stdio: 'ignore' }).status === 0,
  );
  if (engine !== undefined) {
    const ports = [OTLP, OTLP_HTTP, QUERY].flatMap(port => ['-p', `${HOST}:${port}:${port}`]);
    const { status, stdout } = spawnSync(engine, ['run', '--detach', '--rm', ...ports, IMAGE], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (status === 0) {
      await until(QUERY);
      say(`Jaeger runs as a container of ${engine}`);
      links(true);
      return async () => void spawnSync(engine, ['stop', stdout.trim()], { stdio: 'ignore' });
    }
    say(`${engine} could not run ${IMAGE}: Jaeger is built instead`);
  }
  await ensureTools(['jaeger']);
  const jaeger = spawn(toolPath('jaeger'), [], {
    stdio: 'ignore',
    env: { ...process.env, JAEGER_LISTEN_HOST: HOST },
    // A Ctrl-C is for the command, which ends it.
    detached: true,
  });
  await until(QUERY, jaeger);
  say('Jaeger was built from its sources, which have no web page: its query API answers');
  links(true);
  return async () => {
    jaeger.kill('SIGTERM');
    if (jaeger.exitCode === null && jaeger.signalCode === null) await once(jaeger, 'exit');
  };
}

function links(query: boolean): void {
  if (!query) return;
  const base = `http://${HOST}:${QUERY}`;
  say(`  ${base}/search?service=heapmesh`);
  say(`  ${base}/api/traces?service=heapmesh&limit=5`);
}

async function until(port: number, process?: ChildProcess): Promise<void> {
  for (const end = Date.now() + 60_000; !(await listens(port)); await sleep(100)) {
    if (Date.now() > end || (process !== undefined && process.exitCode !== null)) {
      throw new Error(`traces: Jaeger does not listen on ${HOST}:${port}`);
    }
  }
}

function listens(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, HOST);
  socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

function say(line: string): void {
  console.log(`traces: ${line}`);
}
