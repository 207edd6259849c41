/** The processes of one scenario: started together, ended together. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../../../scripts/lib/project.ts';
import { withControl } from '../../../src/cli/with-control.ts';
import { ServerState } from '../../../src/gen/heapmesh/v1/server.ts';
import { startProgram } from '../../support/program.ts';
import type { Cleanup } from '../proxy/rig.ts';
import type {
  BackendCommand,
  BackendMessage,
  BackendSettings,
  CallerJob,
  CallerMessage,
  CallerReport,
} from './messages.ts';

function start(file: string, args: readonly string[], cleanup: Cleanup): ChildProcess {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    execArgv: ['--conditions=heapmesh-source', '--no-warnings'],
  });
  cleanup.add(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const over = new Promise(resolve => child.once('exit', resolve));
    child.kill();
    await over;
  });
  return child;
}

function first<M>(child: ChildProcess, what: string): Promise<M> {
  return new Promise((resolve, reject) => {
    child.once('message', message => resolve(message as M));
    child.once('exit', code => reject(new Error(`${what} ended with code ${code}`)));
  });
}

/** `heapmesh serve` with its defaults; servers register by themselves. */
export async function startHeapmesh(cleanup: Cleanup): Promise<{ proxy: string; control: string }> {
  const announced = Promise.withResolvers<string>();
  const main = join(ROOT, 'src/cli/main.ts');
  const any = '127.0.0.1:0';
  const listen = ['--proxy', any, '--control', any, '--admin', any];
  const program = await startProgram(
    process.execPath,
    ['--conditions=heapmesh-source', '--no-warnings', main, 'serve', ...listen, '-o', 'json'],
    { onLine: line => announced.resolve(line) },
  );
  cleanup.add(() => program.stop());
  void program.ended.then(end =>
    announced.reject(new Error(`heapmesh ended (${end}): ${program.printed()}`)),
  );
  return JSON.parse(await announced.promise);
}

export interface Backend {
  readonly id: string;
  readonly address: string;
  tell(command: BackendCommand): void;
}

export async function startBackend(settings: BackendSettings, cleanup: Cleanup): Promise<Backend> {
  const child = start('./backend.ts', [JSON.stringify(settings)], cleanup);
  const { address } = await first<BackendMessage>(child, settings.id);
  return { id: settings.id, address, tell: command => void child.send(command) };
}

/** Has a balancer take a server back that it has ejected: a drain and its end are a new beginning. */
export async function putBack(control: string, id: string): Promise<void> {
  await withControl({ control, timeout: 5_000 }, async ({ admin }) => {
    const { servers } = await admin.listServers({});
    const state = servers.find(({ server }) => server?.id === id)?.server?.state;
    if (state !== ServerState.SERVER_STATE_EJECTED) return;
    await admin.drainServer({ id, cause: 'the next run' });
    await admin.undrainServer({ id });
  });
}

export interface Caller {
  /** Resolves when the last call of the job has ended; `measuring` is called when its measured part begins. */
  run(job: CallerJob, measuring: () => void): Promise<CallerReport>;
}

export async function startCaller(cleanup: Cleanup): Promise<Caller> {
  const child = start('./caller.ts', [], cleanup);
  await first<CallerMessage>(child, 'the caller');
  return {
    run: (job, measuring) =>
      new Promise((resolve, reject) => {
        const onExit = (code: number | null): void => reject(new Error(`the caller ended with code ${code}`));
        const onMessage = (message: CallerMessage): void => {
          if (message.kind === 'measuring') measuring();
          if (message.kind !== 'done') return;
          child.off('message', onMessage).off('exit', onExit);
          resolve(message);
        };
        child.on('message', onMessage).once('exit', onExit);
        child.send(job);
      }),
  };
}
