/**
 * More servers by a program of the user's. It is run with what is wanted in its environment; the server that
 * it starts registers itself, or its address is the first `host:port` on a line of the program's output.
 *
 *   HEAPMESH_ACTION       add, or remove for a server that has drained
 *   HEAPMESH_SERVER_ID    the id that the new server should take; of the one that goes
 *   HEAPMESH_SERVICE      the pool
 *   HEAPMESH_REASON       failure or load
 *   HEAPMESH_CAUSE        in words
 *   HEAPMESH_SERVER       the server that fails, or is over the threshold most
 *   HEAPMESH_CONTROL      where the new server registers
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { ServerSpec, ServerView } from '../core/core.ts';
import { SCALING_LIMITS } from '../core/limits.ts';
import type { Registry } from '../core/registry.ts';
import { whoWasToBe } from './answers.ts';
import type { Provided, Provider, Want } from './provider.ts';

export interface CommandSettings {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Until the server has to be there, ms. */
  readonly timeoutMs: number;
  /** Times that it is run, the first included. */
  readonly attempts: number;
}

export interface CommandOptions {
  readonly registry: Registry;
  readonly settings: CommandSettings;
  /** Where new servers register. */
  readonly control: string;
  /** Of this process; what the program gets besides what is said above. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Makes a part of an id that no other server has. */
  readonly unique: () => string;
  /** Says why a `host:port` is none; undefined where it is one. */
  readonly faultOf: (address: string) => string | undefined;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** What one run came to. */
interface Run {
  readonly address: string | undefined;
  /** Empty where it did what it should. */
  readonly why: string;
}

export class CommandProvider implements Provider {
  readonly name = 'command';
  private readonly options: CommandOptions;
  private readonly children = new Set<ChildProcess>();
  private readonly arrivals = new Set<Arrival>();
  private closing = false;

  constructor(options: CommandOptions) {
    this.options = options;
  }

  get patienceMs(): number {
    const { timeoutMs, attempts } = this.options.settings;
    return (timeoutMs + SCALING_LIMITS.killMs) * attempts;
  }

  async add(want: Want): Promise<Provided> {
    const { registry, settings, unique } = this.options;
    const id = `${want.service === '*' ? 'any' : want.service}-${unique()}`;
    try {
      const settled = await registry.propose({ kind: 'answer', failure: want.failure, id }, want.cause);
      const by = registry.answer(want.failure) ?? '';
      if (!settled.applied) return { kind: 'answered', by };
    } catch (error) {
      return { kind: 'none', why: `the log did not take it: ${(error as Error).message}` };
    }
    let why = '';
    for (let attempt = 1; attempt <= settings.attempts && !this.closing; attempt++) {
      const came = await this.attempt(want, id);
      if (came.kind === 'added') return came;
      if (came.kind === 'none') ({ why } = came);
      this.options.log(`scaling: attempt ${attempt} of ${settings.attempts} failed: ${why}`, { server: id });
    }
    return { kind: 'none', why };
  }

  drained(id: string, cause: string): void {
    void this.run({ action: 'remove', id, cause }).then(({ why }) => {
      if (why !== '') this.options.log(`scaling: ${id} was not removed: ${why}`, { server: id });
    });
  }

  async close(): Promise<void> {
    this.closing = true;
    for (const arrival of this.arrivals) arrival.end();
    await Promise.all([...this.children].map(child => end(child)));
  }

  /** Runs the program once and waits for its server. */
  private async attempt(want: Want, id: string): Promise<Provided> {
    const { registry, settings, faultOf } = this.options;
    const { service, because, server, cause } = want;
    const until = performance.now() + settings.timeoutMs;
    const arrival = new Arrival(registry, id, service, this.arrivals);
    this.arrivals.add(arrival);
    try {
      const { address, why } = await this.run({ action: 'add', id, cause, service, because, server });
      if (why !== '') return { kind: 'none', why };
      if (address !== undefined) {
        const fault = faultOf(address);
        if (fault !== undefined) return { kind: 'none', why: `it printed '${address}': ${fault}` };
        const spec = specOf(id, address, service);
        const settled = await registry.propose({ kind: 'claim', source: 'command', spec }, cause);
        if (!settled.applied) return { kind: 'none', why: settled.why };
        return { kind: 'added', id, how: `the command gave ${id} at ${address}` };
      }
      const came = await arrival.within(until - performance.now());
      if (came !== undefined && came !== id) await this.takeFor(id, came);
      if (came !== undefined) return { kind: 'added', id: came, how: `the command started ${came}` };
      if (this.closing) return { kind: 'none', why: 'this instance ends' };
      const words = `neither printed an address nor did ${id} register within ${settings.timeoutMs} ms`;
      return { kind: 'none', why: `'${settings.command[0]}' ${words}` };
    } catch (error) {
      return { kind: 'none', why: (error as Error).message };
    } finally {
      this.arrivals.delete(arrival);
      arrival.end();
    }
  }

  /** A server has come for the one that was to be `id`: it counts as added. */
  private async takeFor(id: string, came: string): Promise<void> {
    const { registry, log } = this.options;
    const answer = { kind: 'answer', failure: whoWasToBe(id), id: came } as const;
    try {
      await registry.propose(answer, `${came} registered, and not ${id}`);
    } catch (error) {
      log(`scaling: ${came} does not count as added: the log did not take it: ${(error as Error).message}`, {
        server: came,
      });
    }
  }

  private run(what: {
    readonly action: 'add' | 'remove';
    readonly id: string;
    readonly cause: string;
    readonly service?: string;
    readonly because?: string;
    readonly server?: string;
  }): Promise<Run> {
    const { settings, env, control } = this.options;
    const [program = '', ...args] = settings.command;
    const variables = {
      HEAPMESH_ACTION: what.action,
      HEAPMESH_SERVER_ID: what.id,
      HEAPMESH_SERVICE: what.service ?? '',
      HEAPMESH_REASON: what.because ?? '',
      HEAPMESH_CAUSE: what.cause,
      HEAPMESH_SERVER: what.server ?? '',
      HEAPMESH_CONTROL: control,
    };
    let child: ChildProcessByStdio<null, Readable, Readable>;
    try {
      child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...env, ...variables } });
    } catch (error) {
      // Such as too long an environment, or words with a zero in them: Node tells of these at once.
      return Promise.resolve({
        address: undefined,
        why: `'${program}' cannot be run: ${(error as Error).message}`,
      });
    }
    this.children.add(child);
    const output = new Output(child);
    return new Promise(resolve => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        void end(child);
      }, settings.timeoutMs);
      const done = (why: string): void => {
        clearTimeout(timer);
        this.children.delete(child);
        // A server that it left behind may hold its output open.
        child.stdout.destroy();
        child.stderr.destroy();
        resolve({ address: output.address(), why });
      };
      child.once('error', error => done(`'${program}' cannot be run: ${error.message}`));
      child.once('exit', (code, signal) => {
        // What it printed last comes in the same turn, or was not for us.
        setImmediate(() => {
          const how = signal === null ? `with code ${code}` : `by ${signal}`;
          if (late) done(`'${program}' had not ended after ${settings.timeoutMs} ms`);
          else done(code === 0 ? '' : `'${program}' ended ${how}${output.lastWords()}`);
        });
      });
    });
  }
}

/** A server that comes: the one of that id, or else the first new one that registers for the service. */
class Arrival {
  readonly id: string;
  came: string | undefined;
  private readonly known = new Set<string>();
  private readonly unfollow: () => void;
  private tell: ((id: string | undefined) => void) | undefined;
  private ended = false;

  /** @param all those that are waited for: a server comes for one of them */
  constructor(registry: Registry, id: string, service: string, all: ReadonlySet<Arrival>) {
    this.id = id;
    for (const { spec } of registry.list()) this.known.add(spec.id);
    const isAnothers = (id: string): boolean => [...all].some(one => one.id === id || one.came === id);
    const isIt = (view: ServerView): boolean =>
      view.spec.id === id ||
      (!this.known.has(view.spec.id) &&
        !isAnothers(view.spec.id) &&
        view.sources.includes('stream') &&
        view.state !== 'STANDBY' &&
        (view.spec.services.includes(service) || view.spec.services.includes('*')));
    this.unfollow = registry.onChange((_id, _before, after) => {
      if (after === undefined || this.came !== undefined || !isIt(after)) return;
      this.came = after.spec.id;
      this.tell?.(this.came);
    });
  }

  async within(ms: number): Promise<string | undefined> {
    if (this.came !== undefined || this.ended) return this.came;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.tell = resolve;
    const timer = setTimeout(() => resolve(undefined), Math.max(0, ms));
    const id = await promise;
    clearTimeout(timer);
    return id;
  }

  /** Nobody is waited for any more. */
  end(): void {
    this.ended = true;
    this.unfollow();
    this.tell?.(this.came);
  }
}

/** What a program prints, to a bound. */
class Output {
  private out = '';
  private err = '';

  constructor(child: ChildProcess) {
    const most = SCALING_LIMITS.outputBytes;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out = (this.out + text).slice(0, most);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err = (this.err + text).slice(-most);
    });
  }

  address(): string | undefined {
    return this.out
      .split('\n')
      .map(line => line.trim())
      .find(line => /^\S+:\d{1,5}$/.test(line));
  }

  lastWords(): string {
    const last = this.err.trim().split('\n').at(-1)?.slice(0, 200) ?? '';
    return last === '' ? '' : `: ${last}`;
  }
}

function specOf(id: string, address: string, service: string): ServerSpec {
  return {
    id,
    address,
    services: [service],
    weight: 1,
    zone: '',
    labels: {},
    maxConcurrency: 0,
    standby: false,
  };
}

/** Asks a program to end, and ends it where it does not. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), SCALING_LIMITS.killMs);
  await gone;
  clearTimeout(timer);
}
