/**
 * `make run INSTANCES=3 KAFKA=1`: several instances on this machine, with backends and callers around them.
 * One is killed under load and another one begins; it shows what the new one has from the log, and what
 * each kind of caller saw.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { CallerReport, FailedCall, Route } from '../src/cli/demo/messages.ts';
import { DemoBackend, DemoCallers } from '../src/cli/demo/processes.ts';
import { createPickClient, type PickClient } from '../src/client/client.ts';
import { type Kafka, startKafka } from './lib/kafka.ts';
import { ROOT } from './lib/project.ts';
import { ensureTools } from './tools/install.ts';

const { values } = parseArgs({
  options: {
    instances: { type: 'string', default: '3' },
    kafka: { type: 'boolean', default: false },
    backends: { type: 'string', default: '6' },
    rate: { type: 'string', default: '150' },
    seconds: { type: 'string', default: '8' },
  },
});
const COUNT = Number(values.instances);
const BACKENDS = Number(values.backends);
const RATE = Number(values.rate);
/** Each of the three phases. */
const PHASE_MS = Number(values.seconds) * 1_000;
const SERVICE = 'echo.v1.EchoService';
if (!(COUNT >= 2 && COUNT <= 8)) {
  console.error('INSTANCES: expected 2 to 8');
  process.exit(2);
}

interface Instance {
  readonly id: string;
  readonly child: ChildProcess;
  readonly control: string;
  readonly proxy: string;
  readonly admin: string;
  /** From the start of the process until it said that it is ready. */
  readonly startMs: number;
}

const folder = mkdtempSync(join(tmpdir(), 'heapmesh-instances-'));
const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

let kafka: Kafka | undefined;
const started = performance.now();
const say = (text: string): void =>
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`);

async function startInstance(n: number, control: string, peers: readonly string[]): Promise<Instance> {
  const id = `lb-${n}`;
  const state =
    kafka === undefined
      ? ''
      : `state: { log: kafka, brokers: [${kafka.brokers.join(', ')}], directory: ${join(folder, id)} }\n`;
  const known = kafka === undefined ? `, peers: [${peers.join(', ')}]` : '';
  const file = join(folder, `${id}.yaml`);
  writeFileSync(file, `instance: { id: ${id}${known} }\n${state}telemetry: { logs: { level: error } }\n`);
  const began = performance.now();
  const free = ['--proxy', '127.0.0.1:0', '--control', control, '--admin', '127.0.0.1:0'];
  const main = join(ROOT, 'dist/cli/main.js');
  const child = spawn(process.execPath, [main, 'serve', '--config', file, ...free, '-o', 'json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  const [line] = await once(createInterface(child.stdout), 'line');
  return { id, child, ...JSON.parse(String(line)), startMs: performance.now() - began };
}

async function detailOf({ admin }: Instance): Promise<{ servers: number; log: Record<string, unknown> }> {
  const answer = await fetch(`http://${admin}/readyz`);
  return (await answer.json()) as { servers: number; log: Record<string, unknown> };
}

/**
 * The instance that was killed, and when, on the wall clock. The system ends a process's connections when it has taken
 * it apart, which takes a while; what is sent on them until then is in flight there by any caller's measure.
 */
interface Killed {
  readonly id: string;
  readonly proxy: string;
  readonly at: number;
  readonly goneAt: number;
}

/** Kills it; resolves when the system has ended its connections. */
async function kill({ id, proxy, child }: Instance): Promise<Killed> {
  const [host = '', port] = proxy.split(':');
  const socket = connect(Number(port), host);
  socket.on('error', () => {}).resume();
  await once(socket, 'connect');
  const ended = new Promise(resolve => socket.once('close', resolve));
  const at = Date.now();
  child.kill('SIGKILL');
  await ended;
  return { id, proxy, at, goneAt: Date.now() };
}

/** What callers of one kind saw since it was last asked. */
class Seen {
  calls = 0;
  latencies: number[] = [];
  failures: FailedCall[] = [];

  take({ served, failed, failures, latencies }: Omit<CallerReport, 'kind' | 'open'>): void {
    for (const count of [...Object.values(served), ...Object.values(failed)]) this.calls += count;
    this.failures.push(...failures);
    for (const ms of latencies) this.latencies.push(ms);
  }

  text(killed: Killed | undefined): string {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
    const text = `${this.calls} calls, ${failedOf(this.failures, killed)}, p99 ${p99.toFixed(0)} ms`;
    Object.assign(this, { calls: 0, latencies: [], failures: [] });
    return text;
  }
}

/** Which calls failed, in words: those in flight on the killed instance, and any others. */
function failedOf(failures: readonly FailedCall[], killed: Killed | undefined): string {
  const there = failures.filter(one => one.peer === killed?.proxy && one.status === 'UNAVAILABLE');
  const { id, at, goneAt } = killed ?? { id: '', at: 0, goneAt: 0 };
  const before = there.filter(one => one.beganAt <= at);
  const dying = there.filter(one => one.beganAt > at && one.beganAt <= goneAt);
  const after = there.filter(one => one.beganAt > goneAt);
  const elsewhere = failures.filter(one => !there.includes(one));
  const parts: string[] = [];
  if (before.length > 0) parts.push(`${before.length} in flight on ${id} as it was killed`);
  if (dying.length > 0) parts.push(`${dying.length} sent to it before its connections had ended`);
  if (after.length > 0) {
    const last = Math.max(...after.map(one => one.beganAt)) - goneAt;
    parts.push(`${after.length} sent to it up to ${last} ms after that`);
  }
  if (elsewhere.length > 0) {
    const reasons = new Set(elsewhere.map(({ status, details }) => `${status} ${details}`));
    parts.push(`${elsewhere.length} others (${[...reasons].slice(0, 3).join('; ')})`);
  } else if (parts.length > 0) parts.push('no other');
  return parts.length === 0 ? 'none failed' : `failed: ${parts.join(', ')}`;
}

const OWN = 'own heap (heapmesh://)';
const kinds = { [OWN]: new Seen(), proxy: new Seen(), PickServer: new Seen() };

function report(phase: string, killed?: Killed): void {
  for (const [kind, seen] of Object.entries(kinds)) {
    // Calls of the two others go to backends: nothing of them is on an instance.
    const here = kind === 'proxy' ? killed : undefined;
    say(`  ${phase}: ${kind.padEnd(23)} ${seen.text(here)}`);
  }
}

async function callers(route: Route, seen: Seen): Promise<DemoCallers> {
  const made = new DemoCallers(message => seen.take(message));
  await made.start();
  made.route(route);
  made.rate(RATE);
  return made;
}

/** Asks for a server over and over, and completes the lease. */
function picks(client: PickClient, seen: Seen): () => void {
  const timer = setInterval(() => {
    const [began, beganAt] = [performance.now(), Date.now()];
    client.pick().then(
      ({ lease, server }) => {
        lease.complete();
        const latencies = [performance.now() - began];
        seen.take({ served: { [server.id]: 1 }, failed: {}, failures: [], latencies });
      },
      (error: Error & { code?: string }) => {
        const status = error.code ?? 'failed';
        const failures = [{ status, details: error.message, beganAt, peer: '' }];
        seen.take({ served: {}, failed: { [status]: 1 }, failures, latencies: [] });
      },
    );
  }, 1_000 / RATE);
  return () => clearInterval(timer);
}

async function main(): Promise<void> {
  if (values.kafka) {
    await ensureTools(['kafka']);
    kafka = await startKafka({ nodes: 3 });
    say(`three Kafka brokers: ${kafka.brokers.join(', ')}`);
  }
  const base = 20_000 + Math.floor(Math.random() * 10_000);
  const addresses = Array.from({ length: COUNT + 1 }, (_, i) => `127.0.0.1:${base + i}`);
  const all = await Promise.all(
    addresses.slice(0, COUNT).map((address, i) => startInstance(i + 1, address, addresses)),
  );
  for (const one of all) say(`${one.id}: control ${one.control}, proxy ${one.proxy}, admin ${one.admin}`);

  const controls = all.map(one => one.control);
  const backends = Array.from({ length: BACKENDS }, (_, i) => {
    const settings = {
      id: `b${i + 1}`,
      balancer: controls[0] as string,
      serviceMs: 10,
      slots: 4,
      standby: false,
    };
    return new DemoBackend(settings, () => {});
  });
  await Promise.all(backends.map(one => one.start()));
  say(`${BACKENDS} backends, each told of ${all[0]?.id} alone; it names the others to them`);
  for (const one of all) while ((await detailOf(one)).servers < BACKENDS) await sleep(100);
  await sleep(1_500);

  const [own, proxied] = await Promise.all([
    callers({ via: 'lookaside', balancer: controls.join(',') }, kinds[OWN]),
    callers({ via: 'proxy', address: `ipv4:${all.map(one => one.proxy).join(',')}` }, kinds.proxy),
  ]);
  const client = createPickClient({ balancers: controls, service: SERVICE });
  const stopPicks = picks(client, kinds.PickServer);
  await sleep(PHASE_MS);
  report(`${COUNT} instances`);

  const victim = all.shift() as Instance;
  const killed = await kill(victim);
  say(`${victim.id} is killed; the system had ended its connections after ${killed.goneAt - killed.at} ms`);
  await sleep(PHASE_MS);
  report(`${COUNT - 1} instances`, killed);

  const next = await startInstance(COUNT + 1, addresses[COUNT] as string, addresses);
  const { servers, log } = await detailOf(next);
  all.push(next);
  const from = kafka === undefined ? 'that registered as its peers named it' : 'from the log';
  const at = kafka === undefined ? '' : ` (position ${log.position}, ${log.state})`;
  say(`${next.id} begins: ready after ${next.startMs.toFixed(0)} ms with ${servers} servers ${from}${at}`);
  await sleep(PHASE_MS);
  report(`${COUNT} instances again`);
  for (const one of all) {
    const detail = await detailOf(one);
    say(`${one.id}: ${detail.servers} servers, log ${detail.log.state ?? ''} at ${detail.log.position}`);
  }

  stopPicks();
  await Promise.all([own.stop(), proxied.stop(), client.close()]);
  await Promise.all(backends.map(one => one.stop('SIGKILL')));
  await Promise.all(
    all.map(async ({ child }) => {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }),
  );
  await kafka?.stop();
  say('ended');
}

await main();
process.exit(0);
