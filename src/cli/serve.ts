/** Runs a balancer from flags and a file until it is told to end. */
import { hostname } from 'node:os';
import { type Config, ConfigError, type Flags, type Loaded, loadConfig } from '../config/config.ts';
import { diff } from '../config/diff.ts';
import { renderProblem } from '../config/problem.ts';
import { watchConfig } from '../config/watch.ts';
import { createLogger, type Logger } from '../telemetry/telemetry.ts';
import { printProblems, printWarnings, readConfigFile } from './check-config.ts';
import { Exit, type Io, QuietExit } from './cli.ts';
import { compose } from './compose.ts';
import { explainListenError } from './listen-error.ts';
import { type OutputFormat, printJson } from './options.ts';
import { paintFor, plain } from './render/style.ts';
import type { Running } from './running.ts';
import { settleYoungGeneration } from './young-generation.ts';

export interface ServeOptions {
  readonly config?: string;
  readonly proxy?: string;
  readonly control?: string;
  readonly admin?: string;
  readonly server?: string[];
  readonly advertise?: string;
  readonly insecure?: boolean;
  readonly ignoreState?: boolean;
  readonly output: OutputFormat;
}

export async function serve(options: ServeOptions, io: Io): Promise<void> {
  settleYoungGeneration();
  const flags: Flags = {
    proxy: options.proxy,
    control: options.control,
    admin: options.admin,
    servers: options.server ?? [],
    advertise: options.advertise,
    insecure: options.insecure === true,
  };
  const load = (): Loaded => {
    const text = options.config === undefined ? '' : readConfigFile(options.config);
    return loadConfig(text, { file: options.config ?? '(no file)', hostname: hostname(), flags });
  };
  let loaded: Loaded;
  try {
    loaded = load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printProblems(io, error);
    throw new QuietExit(Exit.USAGE);
  }
  printWarnings(io, loaded.warnings);
  const { config } = loaded;
  const logger = createLogger({
    level: config.telemetry.logs.level,
    instance: config.instance.id,
    output: io.stderr,
    colours: paintFor(io.stderr, io.env) !== plain,
  });

  // Before anything listens: a signal in between must not leave a half-started process behind.
  const ending = untilSignal(logger);
  const running = await start(config, logger, options.ignoreState);

  const reload = reloader(load, config, running, logger);
  const { config: file } = options;
  const stopWatching =
    file === undefined || file === '-'
      ? ignoreHangups(logger)
      : watchConfig(file, reload, {
          onError: error =>
            logger.warn(`cannot watch ${file}; SIGHUP still reloads it`, { error: error.message }),
        });
  try {
    await Promise.race([running.ready, ending]);
  } catch (error) {
    stopWatching();
    await running.close();
    throw explainListenError(error);
  }
  // One that was told to end meanwhile has no address of its proxy.
  if (running.addresses.proxy !== '') announce(io, config, running, options.output);
  const signal = await ending;
  logger.info(`${signal}: ends`);
  stopWatching();
  await running.close();
  await logger.close();
}

async function start(config: Config, logger: Logger, ignoreState = false): Promise<Running> {
  try {
    return await compose(config, { logger, ignoreState });
  } catch (error) {
    throw explainListenError(error);
  }
}

function announce(io: Io, config: Config, running: Running, output: OutputFormat): void {
  const { proxy, control, admin } = running.addresses;
  if (output === 'json') {
    printJson(io, { ready: true, instance: config.instance.id, proxy, control, admin });
    return;
  }
  const paint = paintFor(io.stdout, io.env);
  const lines = [
    `${paint('bold', 'heapmesh')} ${config.instance.id} is ready`,
    ...(proxy === undefined ? [] : [`  proxy    ${proxy}`]),
    `  control  ${control}   (heapmesh top --control ${control})`,
    ...(admin === undefined ? [] : [`  console  http://${admin}/`]),
  ];
  io.stdout.write(`${lines.join('\n')}\n`);
}

/** Takes over a changed file; one that is wrong changes nothing. */
function reloader(load: () => Loaded, first: Config, running: Running, logger: Logger) {
  let inForce = first;
  let queue = Promise.resolve();
  const reload = async (why: string) => {
    try {
      const { config: next, warnings } = load();
      for (const warning of warnings) logger.warn(renderProblem(warning));
      const { config, live, restart } = diff(inForce, next);
      for (const { key } of restart) logger.warn(`${key} takes effect at the next start`, { why });
      if (live.length === 0) {
        logger.info('configuration read: nothing to take over', { why });
        return;
      }
      await running.apply(config);
      // Only then: an operator may have asked for another one meanwhile.
      if (live.some(({ key }) => key === 'telemetry.logs.level'))
        logger.setLevel(config.telemetry.logs.level);
      inForce = config;
      logger.info('configuration taken over', { why, keys: live.map(change => change.key) });
    } catch (error) {
      const problems =
        error instanceof ConfigError ? error.problems.map(renderProblem) : [(error as Error).message];
      for (const problem of problems) logger.error(problem);
      logger.error('the configuration before stays in force', { why });
    }
  };
  // One after the other, or an older file could win.
  return (why: string) => {
    queue = queue.then(() => reload(why));
  };
}

/** Without a file there is nothing to read again, and the signal's default would end the process. */
function ignoreHangups(logger: Logger): () => void {
  const onHangup = () => logger.info('SIGHUP: there is no configuration file to read again');
  process.on('SIGHUP', onHangup);
  return () => process.off('SIGHUP', onHangup);
}

/** The first signal asks for a graceful end; a second one does not wait for it. */
function untilSignal(logger: Logger): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (asked) {
        logger.warn(`${signal} again: ends at once`);
        process.exit(Exit.FAILURE);
      }
      asked = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
