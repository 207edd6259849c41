/** The processes of the demo, started and ended by it alone. */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type {
  BackendMessage,
  BackendSettings,
  CallerCommand,
  CallerMessage,
  CallerReport,
  Route,
} from './messages.ts';

/** The sources run as .ts, what is published as .js; each starts its own kind. */
function script(name: string): string {
  return fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url));
}

function start(name: string, args: readonly string[]): ChildProcess {
  return fork(script(name), args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
}

/** Resolves with the first message that is not a failure; rejects where the process says or shows that it failed. */
function ready<M extends { readonly kind: string }>(child: ChildProcess, what: string): Promise<M> {
  return new Promise((resolve, reject) => {
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-2000);
    });
    child.once('message', (message: M) => {
      if (message.kind === 'failed')
        reject(new Error(`${what}: ${(message as unknown as { message: string }).message}`));
      else resolve(message);
    });
    child.once('error', reject);
    child.once('exit', code => reject(new Error(`${what} ended with code ${code}: ${errors.trim()}`)));
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const over = new Promise(resolve => child.once('exit', resolve));
  child.kill(signal);
  await over;
}

export class DemoBackend {
  readonly settings: BackendSettings;
  address = '';
  private child: ChildProcess | undefined;
  private readonly onExit: (id: string, signal: string) => void;

  constructor(settings: BackendSettings, onExit: (id: string, signal: string) => void) {
    this.settings = settings;
    this.onExit = onExit;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  get running(): boolean {
    return this.child !== undefined;
  }

  async start(): Promise<void> {
    const child = start('backend-process', [JSON.stringify(this.settings)]);
    this.child = child;
    child.once('exit', (code, signal) => {
      if (this.child === child) this.child = undefined;
      this.onExit(this.settings.id, signal ?? `code ${code}`);
    });
    const message = await ready<BackendMessage>(child, `demo backend ${this.settings.id}`);
    if (message.kind === 'ready') this.address = message.address;
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    if (this.child !== undefined) await end(this.child, signal);
  }
}

export class DemoCallers {
  private child: ChildProcess | undefined;
  private readonly onReport: (report: CallerReport) => void;

  constructor(onReport: (report: CallerReport) => void) {
    this.onReport = onReport;
  }

  async start(): Promise<void> {
    const child = start('caller-process', []);
    this.child = child;
    await ready<CallerMessage>(child, 'demo callers');
    child.on('message', (message: CallerMessage) => {
      if (message.kind === 'calls') this.onReport(message);
    });
  }

  route(route: Route): void {
    this.tell({ kind: 'route', route });
  }

  rate(rate: number): void {
    this.tell({ kind: 'rate', rate });
  }

  async stop(): Promise<void> {
    if (this.child !== undefined) await end(this.child, 'SIGTERM');
    this.child = undefined;
  }

  private tell(command: CallerCommand): void {
    if (this.child?.connected) this.child.send(command);
  }
}
