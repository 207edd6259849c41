/** `heapmesh check`. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { ConfigError, type Loaded, loadConfig } from '../../config/config.ts';
import { type Problem, renderPath, renderProblem } from '../../config/problem.ts';
import { CliError, Exit, type Io, QuietExit, type Register } from '../cli.ts';
import { type OutputFormat, outputOption, printJson } from '../options.ts';
import { clean, paintFor } from '../render/style.ts';

/** Reads a configuration file. `-` is standard input. */
export function readConfigFile(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : (error as Error).message;
    throw new CliError(`cannot read ${clean(file)}: ${why}`, Exit.USAGE, { cause: error });
  }
}

/** Prints all problems of a configuration, one a line. */
export function printProblems(io: Io, error: ConfigError): void {
  const paint = paintFor(io.stderr, io.env);
  for (const problem of error.problems)
    io.stderr.write(`${paint('red', 'error')}: ${clean(renderProblem(problem))}\n`);
}

export function printWarnings(io: Io, warnings: readonly Problem[]): void {
  const paint = paintFor(io.stderr, io.env);
  for (const warning of warnings)
    io.stderr.write(`${paint('yellow', 'warning')}: ${clean(renderProblem(warning))}\n`);
}

export const register: Register = (program, io) => {
  program
    .command('check')
    .summary('check a configuration file')
    .description(
      'Checks a configuration file as `heapmesh serve` would read it, and starts nothing. Every mistake is printed with line, column and what was expected; exit code 2 where there is one. Keys that have no effect in this version are warned of.',
    )
    .argument('<file>', 'the file; - is standard input')
    .option('--insecure', 'allow addresses beyond loopback, as for `heapmesh serve`')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh check heapmesh.yaml\n  heapmesh check heapmesh.yaml -o json',
    )
    .action((file: string, options: { insecure?: boolean; output: OutputFormat }) => {
      const name = file === '-' ? '(standard input)' : file;
      const text = readConfigFile(file);
      const json = options.output === 'json';
      let loaded: Loaded;
      try {
        const flags = { insecure: options.insecure === true };
        loaded = loadConfig(text, { file: name, hostname: hostname(), flags });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        if (json) printJson(io, { ok: false, errors: error.problems.map(asJson), warnings: [] });
        else printProblems(io, error);
        throw new QuietExit(Exit.USAGE);
      }
      if (json) return printJson(io, { ok: true, errors: [], warnings: loaded.warnings.map(asJson) });
      printWarnings(io, loaded.warnings);
      io.stdout.write(`${clean(name)} is fine\n`);
    });
};

function asJson(problem: Problem) {
  const { file, line = null, column = null, message } = problem;
  return { file, line, column, path: renderPath(problem.path), message };
}
