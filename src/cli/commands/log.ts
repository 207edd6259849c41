/** `heapmesh log`: the log in files, from outside. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Files, filesIn } from '../../state/files.ts';
import { type FileReport, readAll, repair, verify } from '../../state/inspect.ts';
import { lockDirectory } from '../../state/lock.ts';
import { openFileLog } from '../../state/open.ts';
import { CliError, Exit, type Io, QuietExit, type Register } from '../cli.ts';
import { readTraceId } from '../log/explain.ts';
import { type ExplainOptions, explain } from '../log/explained.ts';
import { type OutputFormat, outputOption, printJson } from '../options.ts';
import { plural } from '../render/format.ts';
import { paintFor } from '../render/style.ts';
import { type Cell, type Column, renderTable } from '../render/table.ts';

const DIRECTORY = './heapmesh-state';

interface Printed {
  readonly output: OutputFormat;
}

export const register: Register = (program, io) => {
  const log = program
    .command('log')
    .summary('look at the log in files, check it, mend it')
    .description(
      'Works on the directory of `state: { log: file, directory }`. `dump`, `verify` and `explain` only read, also beside a running instance; `repair` and `compact` want the directory for themselves.',
    );
  const command = (name: string, summary: string, description: string): Command =>
    log
      .command(name)
      .summary(summary)
      .description(description)
      .argument('[directory]', 'where the log is', DIRECTORY);

  command(
    'dump',
    'print every record',
    'Prints every record that is whole, one JSON object a line: file, offset, position, time, and the entry, the note of load or the noted pick. With --config of a log on Kafka: every record of its topic.',
  )
    .option('--config <file>', 'configuration of a log on Kafka, which is read instead of a directory')
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh log dump\n  heapmesh log dump --config heapmesh.yaml | tail',
    )
    .action(async (directory: string, { config }: { readonly config?: string }) => {
      if (config === undefined) return dump(await existing(directory), io);
      // Loaded here, so that nobody else waits for Kafka's client.
      const { dumpKafka } = await import('../log/dump-kafka.ts');
      await dumpKafka(config, io);
    });

  command(
    'verify',
    'check every file',
    'Reads every file and every snapshot, checks checksums, order and the chain from file to file, and folds the entries to compare them with the snapshots. Exit 1 where something is wrong; a torn end, as a crash leaves it, is not.',
  )
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh log verify\n  heapmesh log verify /var/lib/heapmesh -o json',
    )
    .action(async (directory: string, options: Printed) => {
      const reports = await verify(await existing(directory));
      printReports(io, directory, reports, options);
      if (reports.some(isWrong)) throw new QuietExit(Exit.FAILURE);
    });

  command(
    'repair',
    'cut the log where it is damaged',
    'Cuts the log at the first damage, so that an instance can start with what is before. What is cut off stays in files that end in .broken, and is said.',
  )
    .addHelpText('after', '\nExample:\n  heapmesh log repair /var/lib/heapmesh')
    .action(async (directory: string) => {
      const files = await existing(directory);
      const lock = await lockDirectory(files, Math.random, text => io.stderr.write(`${text}\n`));
      const done = await repair(files).finally(() => lock.release());
      io.stdout.write(done.length === 0 ? 'nothing is wrong\n' : `${done.join('\n')}\n`);
    });

  command(
    'compact',
    'write a snapshot and drop all that is in it',
    'Writes a snapshot of the state and removes the files whose entries are in it: what was before can no longer be looked at.',
  )
    .addHelpText('after', '\nExample:\n  heapmesh log compact /var/lib/heapmesh')
    .action(async (directory: string) => compact(await existing(directory), io));

  command(
    'explain',
    'why a server was picked',
    'Rebuilds the heap of a service as it stood at a time and says who was picked and who was next. Exact for picks that were noted (state.decisions.sampleRatio); for others it says what it cannot know.',
  )
    .option('--service <service>', 'a fully qualified service name, with --at')
    .addOption(new Option('--at <time>', 'such as 2026-11-28T12:00:00.250Z').argParser(readTime))
    .option('--lease <id>', 'id of a lease, as PickServer gave it')
    .addOption(
      new Option('--trace <id>', 'trace id of a call, or its whole traceparent').argParser(readTrace),
    )
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nA call that was tried several times has a pick for each attempt. With --service and --at beside --lease or --trace, the heap is rebuilt where the pick was not noted.\n\nExamples:\n  heapmesh log explain --service echo.v1.EchoService --at 2026-11-28T12:00:00Z\n  heapmesh log explain --trace 4bf92f3577b34da6a3ce929d0e0e4736\n  heapmesh log explain /var/lib/heapmesh --lease ID -o json',
    )
    .action(async (directory: string, options: ExplainOptions) => {
      await explain(await existing(directory), options, io);
    });
};

async function existing(directory: string): Promise<Files> {
  const files = filesIn(directory);
  try {
    await files.list();
  } catch (error) {
    throw new CliError(`${directory}: ${(error as Error).message}`, Exit.FAILURE, { cause: error });
  }
  return files;
}

function readTime(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new InvalidArgumentError('Expected a time such as 2026-11-28T12:00:00.250Z.');
  return time;
}

function readTrace(text: string): string {
  const id = readTraceId(text);
  if (id !== undefined) return id;
  throw new InvalidArgumentError(
    'Expected 32 hexadecimal digits, or a traceparent such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.',
  );
}

async function dump(files: Files, io: Io): Promise<void> {
  const lines: string[] = [];
  const flush = (): void => {
    io.stdout.write(lines.splice(0).join(''));
  };
  await readAll(files, ({ file, at, position, time, content }) => {
    const line = { file, at, position, time: new Date(time).toISOString(), ...content };
    lines.push(`${JSON.stringify(line)}\n`);
    if (lines.length >= 1_000) flush();
  });
  flush();
}

function isWrong({ fault, torn }: FileReport): boolean {
  return fault !== '' && !torn;
}

function printReports(io: Io, directory: string, reports: readonly FileReport[], { output }: Printed): void {
  if (output === 'json') {
    printJson(io, { directory, files: reports, whole: !reports.some(isWrong) });
    return;
  }
  const paint = paintFor(io.stdout, io.env);
  const rows = reports.map(report => [
    report.file,
    String(report.octets),
    String(report.records),
    report.last < report.first
      ? '-'
      : report.first === report.last
        ? `${report.last}`
        : `${report.first}-${report.last}`,
    report.head?.origin ?? '-',
    stateOf(report),
  ]);
  const header: Column[] = [
    { title: 'FILE' },
    { title: 'OCTETS', align: 'right' },
    { title: 'RECORDS', align: 'right' },
    { title: 'ENTRIES', align: 'right' },
    { title: 'INSTANCE' },
    { title: 'STATE' },
  ];
  io.stdout.write(`${renderTable(header, rows, paint)}\n`);
  const wrong = reports.filter(isWrong).length;
  if (wrong > 0)
    io.stdout.write(
      `${plural(wrong, 'file')} damaged: \`heapmesh log repair ${directory}\` cuts the log there\n`,
    );
}

function stateOf({ fault, torn, at }: FileReport): Cell {
  if (fault === '') return { text: 'whole', style: 'green' };
  if (torn) return { text: `torn at ${at}: ${fault}; the next start cuts it off`, style: 'yellow' };
  return { text: `damaged at ${at}: ${fault}`, style: 'red' };
}

async function compact(files: Files, io: Io): Promise<void> {
  const say = (text: string): void => void io.stderr.write(`${text}\n`);
  const { origin } = (await verify(files)).findLast(report => report.head !== undefined)?.head ?? {
    origin: '',
  };
  const opened = await openFileLog({
    files,
    origin,
    wallClock: Date.now,
    after: () => () => {},
    historyOctets: 0,
    lock: where => lockDirectory(where, Math.random, say),
    onNote: (_level, text) => say(text),
    onError: error => say(String(error)),
  });
  const { log, recovered } = opened;
  log.snapshotFrom(() => recovered.snapshot);
  await log.snapshot();
  await opened.close();
  const { position, records } = recovered.snapshot;
  io.stdout.write(
    `a snapshot of ${plural(records.length, 'server')} at position ${position} is all that is left\n`,
  );
}
