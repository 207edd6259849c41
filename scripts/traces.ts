/** Runs a command whose traces go to a Jaeger: `traces.ts jaeger -- FILE ARGUMENTS`, FILE for this Node. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { collector } from './lib/jaeger.ts';

/** Every tenth call that begins at a caller. */
const RATIO = '0.1';

const [kind, dashes, ...command] = process.argv.slice(2);
if (kind !== 'jaeger' || dashes !== '--' || command.length === 0) {
  console.error('traces: expected: jaeger -- FILE ARGUMENTS (make run TRACES=jaeger)');
  process.exit(2);
}

const say = (line: string): void => console.log(`traces: ${line}`);
const { endpoint, stop } = await collector(say);
const child = spawn(process.execPath, command, {
  stdio: 'inherit',
  env: {
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: RATIO,
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    ...process.env,
  },
});
// The terminal tells both; the command ends first.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
const [code, signal] = await once(child, 'exit');
say('traces are there as long as Jaeger runs');
await stop();
process.exitCode = code ?? (signal === null ? 0 : 1);
