/** `heapmesh log-level`. */
import { Argument, Option } from 'commander';
import { LOG_LEVELS } from '../../telemetry/levels.ts';
import { CliError, type Register } from '../cli.ts';
import { type OutputFormat, outputOption, printJson, readAddress } from '../options.ts';
import { clean } from '../render/style.ts';

interface Answer {
  readonly level: string;
  readonly before?: string;
}

export const register: Register = (program, io) => {
  program
    .command('log-level')
    .summary('show or change what a balancer logs')
    .description(
      'Shows the least severity that a running balancer writes to its log, or changes it until the next start, by the admin port.',
    )
    .addArgument(new Argument('[level]', 'the new one; none shows it').choices(LOG_LEVELS))
    .addOption(
      new Option('--admin <address>', 'admin address of the balancer')
        .env('HEAPMESH_ADMIN')
        .default('127.0.0.1:4702')
        .argParser(readAddress),
    )
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  heapmesh log-level
  heapmesh log-level debug`,
    )
    .action(
      async (level: string | undefined, options: { admin: string; output: OutputFormat }): Promise<void> => {
        const answer = await ask(options.admin, level);
        if (options.output === 'json') printJson(io, answer);
        else if (answer.before === undefined) io.stdout.write(`${clean(answer.level)}\n`);
        else io.stdout.write(`${clean(answer.before)} -> ${clean(answer.level)}\n`);
      },
    );
};

async function ask(admin: string, level: string | undefined): Promise<Answer> {
  const request =
    level === undefined
      ? {}
      : {
          method: 'PUT',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ level }),
        };
  let response: Response;
  try {
    response = await fetch(`http://${admin}/api/log-level`, {
      ...request,
      signal: AbortSignal.timeout(5_000),
    });
  } catch (error) {
    const { cause } = error as { cause?: { message?: string } };
    throw new CliError(
      `no balancer answers at the admin address ${admin} (${cause?.message ?? (error as Error).message}); give it by --admin`,
      undefined,
      { cause: error },
    );
  }
  const body = (await response.json().catch(() => ({}))) as Answer & { error?: string };
  if (!response.ok) throw new CliError(`${admin} answered ${response.status}: ${body.error ?? ''}`);
  return body;
}
