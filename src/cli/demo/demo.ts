/** Runs the demo: wires the balancer, the servers and the callers, and shows what they do. */
import { hostname } from 'node:os';
import { loadConfig } from '../../config/config.ts';
import type { RegistryEvent } from '../../core/events.ts';
import { createLogger } from '../../telemetry/telemetry.ts';
import type { Io } from '../cli.ts';
import { type Balancer, compose } from '../compose.ts';
import { explainListenError } from '../listen-error.ts';
import { type OutputFormat, printJson } from '../options.ts';
import { formatPercent } from '../render/format.ts';
import { clean, paintFor } from '../render/style.ts';
import { openScreen } from '../screen.ts';
import type { Route } from './messages.ts';
import { OVERLOAD_RULE, runOverload } from './overload.ts';
import { DemoBackend, DemoCallers } from './processes.ts';
import { type Figures, Tally } from './tally.ts';
import { latency, renderDemo, renderSummary } from './view.ts';

const SERVICE = 'echo.v1.EchoService';
const RECENT_MS = 5_000;
const EVENTS_SHOWN = 6;
const REDRAW_MS = 200;
const DEFAULT_CONTROL = '127.0.0.1:4701';
const DEFAULT_ADMIN = '127.0.0.1:4702';
const ANY_PORT = '127.0.0.1:0';
/** Servers of the demo: 4 slots each, 20 ms a call, one of them four times slower. */
const SERVERS = [
  { id: 'fast-1', serviceMs: 20, standby: false },
  { id: 'fast-2', serviceMs: 20, standby: false },
  { id: 'slow', serviceMs: 80, standby: false },
  { id: 'standby', serviceMs: 20, standby: true },
] as const;
const SLOTS = 4;
/**
 * Echo may be repeated, so that callers, or the proxy for them, try UNAVAILABLE again elsewhere: what was in
 * flight on a server that is killed is lost there, and served by another.
 */
const POOLS = `pools: [{ service: '*', retry: { codes: [UNAVAILABLE], attempts: 3 } }]`;
/** Time that the callers' connections get before a phase is counted, ms. */
const SETTLE_MS = 1_500;

export interface DemoFlags {
  readonly rate: number;
  readonly seconds?: number;
  readonly plain?: boolean;
  readonly control?: string;
  readonly admin?: string;
  readonly join?: number;
  readonly overload?: boolean;
  readonly via: 'lookaside' | 'proxy';
  readonly output: OutputFormat;
}

export async function runDemo(flags: DemoFlags, io: Io): Promise<void> {
  const demo = new Demo(flags, io);
  try {
    await demo.start();
    await demo.run();
  } finally {
    await demo.stop();
  }
}

interface Phase {
  readonly name: string;
  readonly seconds: number;
  readonly figures: Figures;
}

class Demo {
  private readonly flags: DemoFlags;
  private readonly io: Io;
  private readonly backends: DemoBackend[] = [];
  private readonly callers = new DemoCallers(report => {
    const now = performance.now();
    this.recent.add(report, now);
    this.total.add(report, now);
  });
  private readonly events: string[] = [];
  private readonly recent = new Tally(RECENT_MS);
  private total = new Tally(Number.POSITIVE_INFINITY);
  private balancer: Balancer | undefined;
  private rate: number;
  private begun = performance.now();
  private stopping = false;

  constructor(flags: DemoFlags, io: Io) {
    this.flags = flags;
    this.io = io;
    this.rate = flags.rate;
  }

  async start(): Promise<void> {
    const balancer = await this.startBalancer();
    this.balancer = balancer;
    // One registration can make two events, of state and of address, with one cause.
    let last = '';
    balancer.mesh.registry.onEvent(event => {
      const text = describe(event);
      if (text !== last) this.note(text);
      last = text;
    });
    for (const { id, serviceMs, standby } of SERVERS) {
      const settings = { id, balancer: balancer.addresses.control, serviceMs, slots: SLOTS, standby };
      this.backends.push(new DemoBackend(settings, (name, signal) => this.ended(name, signal)));
    }
    await Promise.all([this.callers.start(), ...this.backends.map(backend => backend.start())]);
    this.callers.route(this.route(balancer));
    await sleep(SETTLE_MS / 3);
    this.begun = performance.now();
    this.callers.rate(this.rate);
  }

  async run(): Promise<void> {
    const live = this.flags.plain !== true && this.flags.output !== 'json' && this.io.stdout.isTTY === true;
    const left = live ? this.showLive() : this.showPlain();
    const { join, overload = false } = this.flags;
    const endWave = overload ? this.overload() : () => {};
    const timer =
      join === undefined ? undefined : setTimeout(() => this.activate('asked for by --join'), join);
    try {
      const leaving = left.gone.then(() => 'left' as const);
      const { seconds } = this.flags;
      const how = await (seconds === undefined
        ? leaving
        : Promise.race([overload ? sleep(seconds * 1_000) : this.compare(seconds, left.close), leaving]));
      left.close();
      // The view is gone from the screen with its figures.
      if ((how === 'left' || overload) && this.flags.output !== 'json')
        this.io.stdout.write(`${this.totals()}\n`);
    } finally {
      endWave();
      clearTimeout(timer);
      left.close();
    }
  }

  private overload(): () => void {
    const { mesh } = this.balancer as Balancer;
    const setRate = (rate: number): void => {
      this.rate = rate;
      this.callers.rate(rate);
    };
    return runOverload({ mesh, rate: this.flags.rate, setRate, note: text => this.note(text) });
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.callers.stop();
    await Promise.all(this.backends.map(backend => backend.stop('SIGKILL')));
    await this.balancer?.close();
  }

  private route({ addresses }: Balancer): Route {
    if (this.flags.via === 'lookaside') return { via: 'lookaside', balancer: addresses.control };
    return { via: 'proxy', address: addresses.proxy };
  }

  /** The default ports where they are free, so that people and other commands find the balancer without a flag. */
  private async startBalancer(): Promise<Balancer> {
    const begin = (control: string, admin: string): Promise<Balancer> => {
      const flags = { control, admin, proxy: '127.0.0.1:0' };
      const text = this.flags.overload === true ? `${POOLS}\n${OVERLOAD_RULE}` : POOLS;
      const { config } = loadConfig(text, { file: 'demo', hostname: `demo-${hostname()}`, flags });
      const logger = createLogger({
        level: 'error',
        instance: 'demo',
        output: this.io.stderr,
        colours: false,
      });
      return compose(config, { logger });
    };
    const { control, admin } = this.flags;
    const choices = (given: string | undefined, usual: string) =>
      given === undefined ? [usual, ANY_PORT] : [given];
    let reason: unknown;
    for (const controlAt of choices(control, DEFAULT_CONTROL)) {
      for (const adminAt of choices(admin, DEFAULT_ADMIN)) {
        try {
          return await begin(controlAt, adminAt);
        } catch (error) {
          reason = error;
        }
      }
    }
    throw explainListenError(reason);
  }

  /** Half of the time by the heap, half by round robin, then the table. */
  private async compare(seconds: number, close: () => void): Promise<void> {
    const half = (seconds * 1000) / 2;
    const phases: Phase[] = [];
    await sleep(Math.min(SETTLE_MS, half / 4));
    phases.push(await this.phase(`least-load heap, ${this.flags.via}`, half));
    const eligible = this.backends.filter(backend => backend.running && this.isPicked(backend.settings.id));
    this.callers.route({ via: 'round-robin', addresses: eligible.map(backend => backend.address) });
    this.note('callers now go by round robin');
    await sleep(Math.min(SETTLE_MS, half / 4));
    phases.push(await this.phase('round robin', half));
    this.callers.rate(0);
    close();
    this.summarize(phases);
  }

  private async phase(name: string, ms: number): Promise<Phase> {
    this.total = new Tally(Number.POSITIVE_INFINITY);
    await sleep(ms);
    return { name, seconds: ms / 1000, figures: this.total.figures() };
  }

  private summarize(phases: readonly Phase[]): void {
    if (this.flags.output === 'json') {
      const rows = phases.map(({ name, seconds, figures }) => ({
        policy: name,
        seconds,
        ...figures,
        byServer: Object.fromEntries(figures.byServer),
        failures: Object.fromEntries(figures.failures),
      }));
      printJson(this.io, { rate: this.flags.rate, phases: rows });
      return;
    }
    const servers = SERVERS.map(server => server.id);
    const paint = paintFor(this.io.stdout, this.io.env);
    const shape = `${this.flags.rate} calls/s, ${SLOTS} slots a server, 20 ms a call; slow: 80 ms; the same servers for both`;
    this.io.stdout.write(`\n${shape}\n\n${renderSummary(phases, servers, paint)}\n`);
  }

  private showLive(): { gone: Promise<void>; close: () => void } {
    const paint = paintFor(this.io.stdout, this.io.env);
    const draw = (): void => screen.draw(renderDemo(this.view(), paint, screen.columns));
    const screen = openScreen(this.io, draw, key => this.key(key));
    const timer = setInterval(draw, REDRAW_MS);
    return {
      gone: new Promise(resolve => screen.left.addEventListener('abort', () => resolve(), { once: true })),
      close: () => {
        clearInterval(timer);
        screen.close();
      },
    };
  }

  private showPlain(): { gone: Promise<void>; close: () => void } {
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    let leave = (): void => {};
    const gone = new Promise<void>(resolve => {
      leave = resolve;
    });
    for (const signal of signals) process.on(signal, leave);
    const quiet = this.flags.output === 'json';
    const { control, consoleUrl } = this.where();
    if (!quiet) this.io.stdout.write(`balancer at ${control}, console at ${consoleUrl}; Ctrl-C ends\n`);
    const timer = setInterval(() => {
      if (!quiet) this.io.stdout.write(`${this.line()}\n`);
    }, 1_000);
    return {
      gone,
      close: () => {
        clearInterval(timer);
        for (const signal of signals) process.off(signal, leave);
      },
    };
  }

  private where(): { control: string; consoleUrl: string } {
    const { control = '', admin = '' } = this.balancer?.addresses ?? {};
    return { control, consoleUrl: `http://${admin}/` };
  }

  private totals(): string {
    const { served, failed, p50, p99 } = this.total.figures();
    return `${served} calls served, ${failed} failed, p50 ${latency(p50)}, p99 ${latency(p99)}`;
  }

  private line(): string {
    const { recent, servers, recentS } = this.view();
    const shares = servers.map(server => {
      const calls = recent.byServer.get(server.id) ?? 0;
      return `${server.id} ${server.state.toLowerCase()} ${(calls / Math.max(1, recentS)).toFixed(0)}/s`;
    });
    const seconds = ((performance.now() - this.begun) / 1000).toFixed(0).padStart(3);
    const mean = this.flags.overload === true ? `  utilization ${this.meanUtilization()}` : '';
    return `${seconds} s  ${shares.join('  ')}${mean}  p50 ${latency(recent.p50)}  p99 ${latency(recent.p99)}  failed ${recent.failed}`;
  }

  private meanUtilization(): string {
    const pool = this.balancer?.scaling()?.pools.find(({ service }) => service === SERVICE);
    return formatPercent(pool === undefined || Number.isNaN(pool.utilization) ? null : pool.utilization);
  }

  private view(): Parameters<typeof renderDemo>[0] {
    const now = performance.now();
    const mesh = (this.balancer as Balancer).mesh;
    const pool = mesh.pool(SERVICE);
    const heap = pool?.heap(mesh.now());
    const servers = [...mesh.registry.list()].map(({ spec, state }) => {
      const slot = mesh.slotOf(spec.id);
      const score = pool?.scoreOf(slot) ?? Number.NaN;
      const inHeap = state === 'ACTIVE' || state === 'WARMING';
      return {
        id: spec.id,
        state,
        inFlight: Math.round(mesh.loads.reported[slot] || 0),
        utilization: mesh.loads.utilization[slot] || null,
        score: inHeap && !Number.isNaN(score) ? score : null,
      };
    });
    return {
      ...this.where(),
      seconds: (now - this.begun) / 1000,
      rate: this.rate,
      arity: heap?.arity ?? 4,
      nodes: (heap?.nodes ?? []).map(({ slot, score, newcomer, terms }) => ({
        id: mesh.idOf(slot),
        score,
        newcomer,
        terms,
      })),
      servers: servers.toSorted((a, b) => a.id.localeCompare(b.id)),
      recent: this.recent.figures(),
      recentS: this.recent.spanS(now),
      total: this.total.figures(),
      events: this.events.slice(-EVENTS_SHOWN),
    };
  }

  private key(key: string): void {
    if (key === 'a') this.activate('asked for by a key');
    else if (key === 'k') void this.running()[0]?.stop('SIGKILL');
    else if (key === 'r') this.restart();
    else if (key === '+' || key === '-') {
      this.rate = Math.min(5_000, Math.max(10, this.rate + (key === '+' ? 20 : -20)));
      this.callers.rate(this.rate);
    }
  }

  private running(): DemoBackend[] {
    return this.backends.filter(backend => backend.running && this.isPicked(backend.settings.id));
  }

  private isPicked(id: string): boolean {
    const state = this.balancer?.mesh.registry.get(id)?.state;
    return state === 'ACTIVE' || state === 'WARMING';
  }

  private restart(): void {
    const backend = this.backends.find(one => !one.running);
    if (backend === undefined) return;
    this.note(`${backend.settings.id} is started again`);
    backend.start().catch((error: Error) => this.note(error.message));
  }

  private activate(cause: string): void {
    const registry = (this.balancer as Balancer).mesh.registry;
    const standby = [...registry.list()].find(server => server.state === 'STANDBY');
    if (standby === undefined) {
      this.note('there is no standby to activate');
      return;
    }
    registry
      .propose({ kind: 'activate', id: standby.spec.id }, cause)
      .catch((error: Error) => this.note(error.message));
  }

  private ended(id: string, signal: string): void {
    this.note(`the process of ${id} ended by ${signal}`);
  }

  private note(text: string): void {
    if (this.stopping) return;
    const line = `${new Date().toTimeString().slice(0, 8)}  ${text}`;
    this.events.push(line);
    if (this.events.length > 100) this.events.shift();
    const plain = this.flags.plain === true || this.io.stdout.isTTY !== true;
    if (plain && this.flags.output !== 'json') this.io.stdout.write(`${clean(line)}\n`);
  }
}

function describe(event: RegistryEvent): string {
  const state = event.state === undefined ? event.kind : event.state.toLowerCase();
  return `${event.serverId}: ${state} (${event.cause})`;
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
