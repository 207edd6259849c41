/**
 * A Jaeger for `make run TRACES=jaeger`: what listens already, else a container where an engine runs, else one that is
 * built from its sources. Everything listens on loopback alone.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureTools, toolPath } from '../tools/install.ts';
import { TOOLS } from '../tools/table.ts';

const HOST = '127.0.0.1';
/** Of the same release as the tool. */
const IMAGE = `docker.io/jaegertracing/jaeger:2.${TOOLS.jaeger.version.split('.')[1]}.0`;
const ENGINES = ['docker', 'podman'];
const LISTENS_WITHIN_MS = 60_000;

export interface JaegerPorts {
  readonly otlp: number;
  readonly otlpHttp: number;
  /** Of its web page and its query API. */
  readonly query: number;
}

/** Those that Jaeger has by itself. */
export const JAEGER_PORTS: JaegerPorts = { otlp: 4317, otlpHttp: 4318, query: 16_686 };

export interface Collector {
  /** Where spans go. */
  readonly endpoint: string;
  /** Ends it where it was begun here. */
  stop(): Promise<void>;
}

/** @param say tells people what goes on @param env of what is run: engines are looked for in its PATH */
export async function collector(
  say: (line: string) => void,
  ports: JaegerPorts = JAEGER_PORTS,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Collector> {
  const endpoint = `http://${HOST}:${ports.otlp}`;
  const links = (hasPage = true): void => {
    const base = `http://${HOST}:${ports.query}`;
    if (hasPage) say(`  ${base}/search?service=heapmesh`);
    say(`  ${base}/api/traces?service=heapmesh&limit=5`);
  };
  if (await listens(ports.otlp)) {
    say(`traces go to what listens on ${HOST}:${ports.otlp}`);
    if (await listens(ports.query)) links();
    return { endpoint, stop: async () => {} };
  }
  const engine = ENGINES.find(name => spawnSync(name, ['info'], { stdio: 'ignore', env }).status === 0);
  if (engine !== undefined) {
    const stop = startContainer(engine, ports, env);
    if (stop !== undefined) {
      await until(ports.query);
      say(`Jaeger runs as a container of ${engine}`);
      links();
      return { endpoint, stop };
    }
    say(`${engine} could not run ${IMAGE}: Jaeger is built instead`);
  }
  await ensureTools(['jaeger']);
  const jaeger = await startBuilt(ports);
  say('Jaeger was built from its sources, which have no web page: its query API answers');
  links(false);
  return {
    endpoint,
    async stop() {
      jaeger.kill('SIGTERM');
      if (jaeger.exitCode === null && jaeger.signalCode === null) await once(jaeger, 'exit');
    },
  };
}

/** By itself its page would be open to others. */
async function startBuilt(ports: JaegerPorts): Promise<ChildProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-jaeger-'));
  try {
    const file = join(folder, 'jaeger.json');
    writeFileSync(file, JSON.stringify(jaegerConfig({ ...ports, queryGrpc: 0 })));
    // A Ctrl-C is for the command, which ends it.
    const jaeger = spawn(toolPath('jaeger'), ['--config', file], { stdio: 'ignore', detached: true });
    await until(ports.query, jaeger);
    return jaeger;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What a Jaeger that keeps traces in memory is told: all of it listens on loopback. */
export function jaegerConfig(ports: JaegerPorts & { readonly queryGrpc: number }): object {
  const at = (port: number) => ({ endpoint: `${HOST}:${port}` });
  return {
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      pipelines: {
        traces: { receivers: ['otlp'], processors: [], exporters: ['jaeger_storage_exporter'] },
      },
      telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
    },
    extensions: {
      jaeger_query: { storage: { traces: 'memory' }, http: at(ports.query), grpc: at(ports.queryGrpc) },
      jaeger_storage: { backends: { memory: { memory: { max_traces: 10_000 } } } },
    },
    receivers: { otlp: { protocols: { grpc: at(ports.otlp), http: at(ports.otlpHttp) } } },
    exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
  };
}

/** Returns what ends it; undefined where the engine cannot run it. */
function startContainer(
  engine: string,
  { otlp, otlpHttp, query }: JaegerPorts,
  env: NodeJS.ProcessEnv,
): (() => Promise<void>) | undefined {
  const published = [
    [otlp, JAEGER_PORTS.otlp],
    [otlpHttp, JAEGER_PORTS.otlpHttp],
    [query, JAEGER_PORTS.query],
  ].flatMap(([here, inside]) => ['--publish', `${HOST}:${here}:${inside}`]);
  const { status, stdout } = spawnSync(engine, ['run', '--detach', '--rm', ...published, IMAGE], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  if (status !== 0) return undefined;
  return async () => void spawnSync(engine, ['stop', stdout.trim()], { stdio: 'ignore', env });
}

async function until(port: number, process?: ChildProcess): Promise<void> {
  for (const end = Date.now() + LISTENS_WITHIN_MS; !(await listens(port)); await sleep(100)) {
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
