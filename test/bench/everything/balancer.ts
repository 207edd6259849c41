/** A balancer with all of it on, or with none of it, and what disturbs the one that has all. */
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/project.ts';
import { startProgram } from '../../support/program.ts';
import type { RunningProxy } from '../../support/proxy-under-test.ts';
import { type Cleanup, PROXY_CORE } from '../proxy/rig.ts';

export interface Balancer {
  readonly proxy: RunningProxy;
  readonly control: string;
  readonly admin: string;
  /** Writes the configuration anew, which is then read again. */
  reload(): void;
}

/** @param exporter where traces go, or undefined for a balancer with all of it off */
export async function startBalancer(
  cleanup: Cleanup,
  backends: readonly string[],
  exporter: string | undefined,
): Promise<Balancer> {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-everything-'));
  cleanup.add(() => rmSync(folder, { recursive: true }));
  const any = { listen: '127.0.0.1:0' };
  const file = join(folder, 'heapmesh.yaml');
  const on = exporter !== undefined;
  const config = {
    proxy: any,
    control: any,
    admin: any,
    servers: backends.map((address, n) => ({ id: `s${n}`, address, services: ['*'] })),
    telemetry: {
      logs: { level: 'warn' },
      ...(on ? { traces: { endpoint: `http://${exporter}`, sampleRatio: 0.01 } } : {}),
    },
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config));
  const announced = Promise.withResolvers<string>();
  const main = join(ROOT, 'src/cli/main.ts');
  const args = [
    '--conditions=heapmesh-source',
    '--no-warnings',
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
    onLine: line => announced.resolve(line),
  });
  cleanup.add(() => program.stop());
  void program.ended.then(end =>
    announced.reject(new Error(`heapmesh ended (${end}): ${program.printed()}`)),
  );
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
      process.kill(program.pid, 'SIGHUP');
    },
  };
}

/** An OTLP endpoint that takes connections and answers nothing of use: exporting must cost calls nothing either way. */
export async function startSink(cleanup: Cleanup): Promise<string> {
  const server = createServer(socket => socket.on('error', () => {}).resume());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  cleanup.add(() => server.close());
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

export interface Scrapes {
  /** The longest stalls of the event loop that were told, seconds. */
  readonly stalls: number[];
  /** How long each scrape took, ms. */
  readonly tookMs: number[];
  readonly failed: number;
}

/** Scrapes each 5 s, keeps a console open and reads the configuration again each minute, until the end. */
export function disturb(cleanup: Cleanup, balancer: Balancer): Scrapes {
  const scrapes = { stalls: [] as number[], tookMs: [] as number[], failed: 0 };
  const scrape = async (): Promise<void> => {
    const begun = performance.now();
    try {
      const text = await (await fetch(`http://${balancer.admin}/metrics`)).text();
      scrapes.tookMs.push(performance.now() - begun);
      const worst = /^heapmesh_event_loop_delay_seconds\{figure="max"\} (\S+)$/m.exec(text)?.[1];
      if (worst !== undefined) scrapes.stalls.push(Number(worst));
    } catch {
      scrapes.failed++;
    }
  };
  const console = get(`http://${balancer.admin}/api/stream`, response => response.resume());
  console.on('error', () => {});
  const timers = [setInterval(scrape, 5_000), setInterval(() => balancer.reload(), 60_000)];
  cleanup.add(() => {
    console.destroy();
    for (const timer of timers) clearInterval(timer);
  });
  return scrapes;
}
