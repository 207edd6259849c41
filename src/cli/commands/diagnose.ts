/** `heapmesh diagnose`. */
import { CliError, Exit, QuietExit, type Register } from '../cli.ts';
import { addAdminOptions, type OutputFormat, outputOption, printJson } from '../options.ts';
import { type FindingsView, renderFindings } from '../render/findings.ts';
import { paintFor } from '../render/style.ts';

interface DiagnoseOptions {
  readonly admin: string;
  readonly timeout: number;
  readonly output: OutputFormat;
}

export const register: Register = (program, io) => {
  const command = program
    .command('diagnose')
    .summary('name the bottlenecks')
    .description(
      'Looks at the last minute of a balancer and says in plain words what holds calls up, with numbers, and what to do: backends that are saturated, slow, failing or silent, pools with too few of them, an uneven spread and why, streams that stay where they were opened, limits that are reached, the balancer itself. Exit code 1 where something is critical.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh diagnose\n  heapmesh diagnose -o json | jq .findings[].detail',
    );
  addAdminOptions(command)
    .addOption(outputOption())
    .action(async (options: DiagnoseOptions) => {
      const view = await ask(options);
      if (options.output === 'json') printJson(io, view);
      else io.stdout.write(`${renderFindings(view, paintFor(io.stdout, io.env), io.stdout.columns)}\n`);
      if (view.findings.some(({ severity }) => severity === 'critical')) throw new QuietExit(Exit.FAILURE);
    });
};

async function ask({ admin, timeout }: DiagnoseOptions): Promise<FindingsView> {
  let answer: Response;
  try {
    answer = await fetch(`http://${admin}/api/findings`, { signal: AbortSignal.timeout(timeout) });
  } catch (cause) {
    const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    throw new CliError(
      `no balancer answers at ${admin} (${why instanceof Error ? why.message : why}): start one with \`heapmesh serve\`, or name its admin port with --admin`,
      Exit.FAILURE,
      { cause },
    );
  }
  if (answer.ok) return (await answer.json()) as FindingsView;
  const said = (await answer.text()).slice(0, 200).trim();
  throw new CliError(`${admin} answered ${answer.status} (${said}): is it the admin port of a balancer?`);
}
