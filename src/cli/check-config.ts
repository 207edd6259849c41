/** Reads and checks configuration files, and prints what is wrong with them. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { ConfigError, type Loaded, loadConfig } from '../config/config.ts';
import { type Problem, renderPath, renderProblem } from '../config/problem.ts';
import { CliError, Exit, type Io, QuietExit } from './cli.ts';
import { type OutputFormat, printJson } from './options.ts';
import { clean, paintFor } from './render/style.ts';

export interface CheckOptions {
  readonly insecure?: boolean;
  readonly output: OutputFormat;
}

const WHY_NOT: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder; expected a YAML file',
  EACCES: 'its permissions do not let this user read it',
};

/** Reads a configuration file. `-` is standard input. */
export function readConfigFile(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = WHY_NOT[code ?? ''] ?? (error as Error).message;
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

/** Checks a file and prints the verdict. */
export function checkConfig(file: string, options: CheckOptions, io: Io): void {
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
  if (json) {
    printJson(io, { ok: true, errors: [], warnings: loaded.warnings.map(asJson) });
    return;
  }
  printWarnings(io, loaded.warnings);
  io.stdout.write(`${clean(name)} is fine\n`);
}

function asJson(problem: Problem) {
  const { file, line = null, column = null, message } = problem;
  return { file, line, column, path: renderPath(problem.path), message };
}
