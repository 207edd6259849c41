/**
 * A balancer whose traces can be switched while it runs: each SIGUSR2 brings the next mode, which it prints. So one
 * process, with one heap and one set of compiled code, is measured in all modes. Arguments: a configuration as JSON, and
 * the modes as JSON: a name, and the share of calls that is sampled, or null for no traces.
 */
import { compose } from '../../../src/cli/compose.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { systemClock as clock } from '../../../src/control/clock.ts';
import { createLogger, startTracing, type Tracing } from '../../../src/telemetry/telemetry.ts';

const [text = '', modesText = ''] = process.argv.slice(2);
const modes = JSON.parse(modesText) as { readonly name: string; readonly ratio: number | null }[];
const { config } = loadConfig(text, { file: '(argument)', hostname: 'lb-1' });
const logger = createLogger({ level: 'warn', instance: 'lb-1', output: process.stderr, colours: false });
const balancer = await compose(config, { logger, env: { OTEL_SDK_DISABLED: 'true' } });
const { mesh, proxy } = balancer;

const tracings: (Tracing | undefined)[] = [];
for (const { ratio } of modes) {
  if (ratio === null) {
    tracings.push(undefined);
    continue;
  }
  const tracing = await startTracing({
    config: { ...config.telemetry.traces, sampleRatio: ratio },
    env: {},
    identity: {
      instance: 'lb-1',
      zone: '',
      version: '0',
      hostname: 'bench',
      pid: process.pid,
      service: 'heapmesh',
    },
    now: clock.now,
    wall: clock.wall,
    random: Math.random,
    idOf: slot => mesh.idOf(slot),
    onState: failure => logger.warn('traces', { why: failure ?? 'taken again' }),
  });
  tracing?.watch(visit => proxy.eachCall(visit));
  tracings.push(tracing);
}

let at = -1;
let unobserve = (): void => {};
const next = (): void => {
  at = (at + 1) % modes.length;
  unobserve();
  const tracing = tracings[at];
  unobserve = tracing === undefined ? () => {} : proxy.observe(tracing.calls);
  console.log(JSON.stringify({ mode: modes[at]?.name, proxy: balancer.addresses.proxy }));
};
process.on('SIGUSR2', next);
process.once('SIGTERM', () => process.exit(0));
next();
