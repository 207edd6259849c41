/** Heapmesh itself, as a user starts it: `heapmesh serve`. */
import { join } from 'node:path';
import { ROOT } from '../../../scripts/lib/project.ts';
import { startProgram } from '../program.ts';
import type { ProxyOptions, ProxyUnderTest } from '../proxy-under-test.ts';
import { configFile, DEFAULTS, openFiles, running, weightOf } from './scratch.ts';

/** YAML is a superset of JSON. */
function config(
  address: string,
  backends: readonly string[],
  options: ProxyOptions,
  memory: boolean,
): string {
  const { drainTimeoutMs } = options;
  return JSON.stringify({
    proxy: {
      listen: address,
      maxConcurrentStreams: options.maxConcurrentStreams ?? DEFAULTS.maxConcurrentStreams,
      ...(drainTimeoutMs === undefined ? {} : { drainTimeout: `${drainTimeoutMs}ms` }),
      ...(options.takeOver !== undefined || options.reusePort === true ? { reusePort: true } : {}),
      ...(options.keepOrcaTrailers === true ? { keepLoadReports: true } : {}),
      ...(memory ? {} : { rememberHeaders: false }),
    },
    control: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0' },
    // The cases count what comes to their backends, and these have no health service.
    health: { check: 'none', orca: false },
    servers: backends.map((each, index) => {
      const weight = weightOf(options, index);
      const server = { id: `s${index}`, address: each, services: ['*'] };
      return weight === undefined ? server : { ...server, weight };
    }),
    telemetry: { logs: { level: 'warn' } },
  });
}

function withMemory(name: string, memory: boolean): ProxyUnderTest {
  return {
    name,
    version: () => (memory ? 'Heapmesh' : 'Heapmesh, no memory of header blocks'),
    needs: [],
    async start(backends, options = {}) {
      const listen = options.takeOver?.address ?? '127.0.0.1:0';
      const { folder, path } = configFile('heapmesh.yaml', config(listen, backends, options, memory));
      const announced = Promise.withResolvers<string>();
      const main = join(ROOT, 'src/cli/main.ts');
      const args = ['--conditions=heapmesh-source', main, 'serve', '--config', path, '-o', 'json'];
      const program = await startProgram(process.execPath, args, {
        cpu: options.cpu,
        openFiles: openFiles(options),
        env: { NODE_NO_WARNINGS: '1', ...options.env },
        onLine: line => announced.resolve(line),
      });
      void program.ended.then(end =>
        announced.reject(new Error(`heapmesh serve ended (${end}):\n${program.printed()}`)),
      );
      const { proxy } = JSON.parse(await announced.promise) as { proxy?: string };
      if (proxy === undefined) {
        await program.stop();
        throw new Error('heapmesh serve announced no address of a proxy');
      }
      options.takeOver?.drain();
      return running(name, proxy, program, folder, 'SIGTERM');
    },
  };
}

export const heapmesh = withMemory('heapmesh', true);
/** With the memory of header blocks switched off: every block is decoded and encoded. */
export const heapmeshPlain = withMemory('heapmesh-plain', false);
