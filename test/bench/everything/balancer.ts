/** A balancer with all of it on, or with none of it, and what disturbs the one that has all. */
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from '../../../scripts/lib/project.ts';
import { startProgram } from '../../support/program.ts';
import type { RunningProxy } from '../../support/proxy-under-test.ts';
import { type Cleanup, PROXY_CORE } from '../proxy/rig.ts';
import type { Explained, Stall } from './stalls.ts';

/** The service of the servers that report: the console shows its pool. */
const REPORTED = 'echo.v1.EchoService';

export interface Balancer {
  readonly proxy: RunningProxy;
  readonly control: string;
  readonly admin: string;
  /** Writes the configuration anew, which is then read again. */
  reload(): void;
  /** How its event loop was held up since a time, ms since 1970. */
  stalls(since: number): Stall[];
  /** Where the time of its stalls went; empty without a profile. */
  explained(): Promise<Explained[]>;
}

export interface BalancerOptions {
  /** Where traces go; undefined for a balancer with all of it off. */
  readonly exporter?: string;
  /** How the servers that report are checked. */
  readonly check?: string;
  /** Its stalls are told of by function. */
  readonly profile?: boolean;
}

export async function startBalancer(
  cleanup: Cleanup,
  backends: readonly string[],
  { exporter, check = 'grpc', profile = false }: BalancerOptions,
): Promise<Balancer> {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-everything-'));
  cleanup.add(() => rmSync(folder, { recursive: true }));
  const any = { listen: '127.0.0.1:0' };
  const file = join(folder, 'heapmesh.yaml');
  const on = exporter !== undefined;
  const noted = join(folder, 'stalls');
  const config = {
    proxy: any,
    control: any,
    admin: any,
    servers: backends.map((address, n) => ({ id: `s${n}`, address, services: ['*'] })),
    pools: [{ service: REPORTED, health: { check } }],
    telemetry: {
      logs: { level: 'warn' },
      ...(on ? { traces: { endpoint: exporter, sampleRatio: 0.01 } } : {}),
    },
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config));
  const announced = Promise.withResolvers<string>();
  const main = join(ROOT, 'src/cli/main.ts');
  const args = [
    '--conditions=heapmesh-source',
    '--no-warnings',
    '--import',
    new URL('./stalls.ts', import.meta.url).href,
    main,
    'serve',
    '--config',
    file,
    '-o',
    'json',
  ];
  const program = await startProgram(process.execPath, args, {
    cpu: PROXY_CORE,
    openFiles: 21_000,
    env: { HEAPMESH_STALLS: noted, HEAPMESH_STALLS_PROFILE: profile ? '1' : '0' },
    onLine: line => announced.resolve(line),
  });
  cleanup.add(() => program.stop());
  let isOver = false;
  cleanup.add(() => {
    isOver = true;
  });
  void program.ended.then(end => {
    if (!isOver)
      console.error(`${on ? 'everything on' : 'everything off'} ended (${end}): ${program.printed()}`);
    announced.reject(new Error(`heapmesh ended (${end}): ${program.printed()}`));
  });
  const told = JSON.parse(await announced.promise) as Record<'proxy' | 'control' | 'admin', string>;
  const proxy: RunningProxy = {
    name: on ? 'everything on' : 'everything off',
    address: told.proxy,
    pid: program.pid,
    ended: program.ended,
    printed: program.printed,
    drain: () => void program.child.kill('SIGTERM'),
    stop: async () => void (await program.stop()),
  };
  return {
    proxy,
    control: told.control,
    admin: told.admin,
    reload() {
      writeFileSync(file, readFileSync(file));
      utimesSync(file, new Date(), new Date());
      program.child.kill('SIGHUP');
    },
    stalls: since => (existsSync(noted) ? linesOf<Stall>(noted).filter(({ at }) => at >= since) : []),
    async explained() {
      if (!profile) return [];
      program.child.kill('SIGUSR2');
      const told = `${noted}.profile`;
      for (let n = 0; n < 300 && !existsSync(told); n++) await sleep(100);
      return existsSync(told) ? linesOf<Explained>(told) : [];
    },
  };
}

function linesOf<T>(file: string): T[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter(line => line !== '').map(line => JSON.parse(line) as T);
}

export interface Scrapes {
  /** How long each scrape took, ms. */
  readonly tookMs: number[];
  readonly failed: number;
}

/** Scrapes each 5 s, keeps a console open and reads the configuration again each minute, until the end. */
export function disturb(cleanup: Cleanup, balancer: Balancer): Scrapes {
  const scrapes = { tookMs: [] as number[], failed: 0 };
  const scrape = async (): Promise<void> => {
    const begun = performance.now();
    try {
      await (await fetch(`http://${balancer.admin}/metrics`)).text();
      scrapes.tookMs.push(performance.now() - begun);
    } catch {
      scrapes.failed++;
    }
  };
  const console = get(`http://${balancer.admin}/api/stream?service=${REPORTED}`, response =>
    response.resume(),
  );
  console.on('error', () => {});
  const timers = [setInterval(scrape, 5_000), setInterval(() => balancer.reload(), 60_000)];
  cleanup.add(() => {
    console.destroy();
    for (const timer of timers) clearInterval(timer);
  });
  return scrapes;
}
