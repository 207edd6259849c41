/**
 * A Jaeger for `make run TRACES=jaeger`: what listens already, else a container where an engine runs, else one that is
 * built from its sources. Everything listens on loopback alone.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
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

/** Those that Jaeger has by itself: one that is built listens there in any case. */
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
  const links = (): void => {
    const base = `http://${HOST}:${ports.query}`;
    say(`  ${base}/search?service=heapmesh`);
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
  const jaeger = spawn(toolPath('jaeger'), [], {
    stdio: 'ignore',
    env: { ...env, JAEGER_LISTEN_HOST: HOST },
    // A Ctrl-C is for the command, which ends it.
    detached: true,
  });
  await until(ports.query, jaeger);
  say('Jaeger was built from its sources, which have no web page: its query API answers');
  links();
  return {
    endpoint,
    async stop() {
      jaeger.kill('SIGTERM');
      if (jaeger.exitCode === null && jaeger.signalCode === null) await once(jaeger, 'exit');
    },
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
