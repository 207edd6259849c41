/** `heapmesh call`. */
import type { DescMethod, JsonValue } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { InvalidArgumentError } from 'commander';
import { Status, statusName } from '../../grpc/status.ts';
import { CliError, Exit, type Io, QuietExit, type Register } from '../cli.ts';
import { CHANNEL_OPTIONS } from '../control.ts';
import { invoke, type Result } from '../generic/invoke.ts';
import { exactlyOne, readMessages } from '../generic/messages.ts';
import { readProtoFiles } from '../generic/proto-files.ts';
import { reflect } from '../generic/reflection.ts';
import { type CallEnd, type Target, withTarget } from '../generic/target.ts';
import { findMethod, type MethodTypes } from '../generic/types.ts';
import { fieldViolations } from '../grpc-error.ts';
import {
  addControlOptions,
  collect,
  durationOption,
  type OutputFormat,
  outputOption,
  printJson,
  readAddress,
} from '../options.ts';
import { formatLatency } from '../render/format.ts';
import { clean, paintFor } from '../render/style.ts';

/** Of picks, heap and reflection; `--timeout` is the call's here. */
const LOOKUP_TIMEOUT_MS = 5_000;
const DEFAULT_UNARY_TIMEOUT_MS = 10_000;
/** Answers are printed, so that more than this is a mistake of a kind. */
const LONGEST_ANSWER_BYTES = 64 * 1024 ** 2;

interface CallOptions {
  readonly control: string;
  readonly output: OutputFormat;
  readonly timeout?: number;
  readonly data?: string[];
  readonly metadata?: [string, string][];
  readonly proto?: string[];
  readonly importFolder?: string[];
  readonly address?: string;
  readonly hashKey?: string;
  readonly zone?: string;
  readonly emitDefaults?: boolean;
  readonly verbose?: boolean;
}

interface Method {
  readonly service: string;
  readonly method: string;
}

export const register: Register = (program, io) => {
  const command = program
    .command('call')
    .summary('call a method of a backend')
    .description(
      'Calls a method of any of the four kinds on the backend that the balancer picks, and prints the answers as JSON. What backend that was and why, the status and the latency go to stderr. The outcome is reported to the balancer. Types come from the backend by server reflection, or from --proto.',
    )
    .argument('<service/method>', 'such as echo.v1.EchoService/Echo', readMethod)
    .option(
      '-d, --data <json>',
      'the request; @FILE reads a file, - reads standard input; several messages, one behind the other or with several -d, for methods that take a stream',
      collect,
    )
    .option(
      '--metadata <name=value>',
      'metadata of the request; may be given several times; values of names in -bin are base64',
      readMetadata,
    )
    .option(
      '--proto <file>',
      'take types from this file instead of reflection; may be given several times',
      collect,
    )
    .option(
      '-I, --import-folder <folder>',
      'where --proto looks for imports; may be given several times',
      collect,
    )
    .option('--address <address>', 'call this address, without asking a balancer', readAddress)
    .option('--hash-key <key>', 'same key, same backend, as long as its load is within bounds')
    .option('--zone <zone>', "the caller's zone")
    .option('--emit-defaults', 'print fields that have their default value')
    .option('-v, --verbose', 'print header and trailer metadata to stderr')
    .addOption(
      durationOption(
        '--timeout <duration>',
        'deadline of the call; 10s for unary methods, none for streams, where it is left out',
      ),
    )
    .addHelpText(
      'after',
      `
Exit code 1 where the status is not OK.

Examples:
  heapmesh call echo.v1.EchoService/Echo -d '{"message": "hello"}'
  heapmesh call echo.v1.EchoService/Chat -d '{"n": 1} {"n": 2}' --metadata tenant=a
  heapmesh call echo.v1.EchoService/Echo --proto echo.proto -I ./proto -d @request.json -o json`,
    );
  addControlOptions(command, { timeout: false })
    .addOption(outputOption())
    .action(async (name: Method, options: CallOptions) => {
      if (options.address !== undefined && (options.hashKey ?? options.zone) !== undefined) {
        throw new CliError('--hash-key and --zone are for picks; with --address there is none', Exit.USAGE);
      }
      // Mistakes in files are found before anything is asked or called.
      const files = options.proto && readProtoFiles(options.proto, options.importFolder ?? []);
      const types = files && findMethod(files, name.service, name.method);
      const { address, hashKey, zone } = options;
      const target = {
        ...name,
        control: options.control,
        timeout: LOOKUP_TIMEOUT_MS,
        ...(address === undefined ? {} : { address }),
        ...(hashKey === undefined ? {} : { hashKey }),
        ...(zone === undefined ? {} : { zone }),
      };
      let code: number = Status.OK;
      await withTarget(target, async found => {
        const end = await callOn(found, name, types, options, io);
        code = end?.code ?? Status.OK;
        return end;
      });
      if (code !== Status.OK) throw new QuietExit(Exit.FAILURE);
    });
};

function readMethod(text: string): Method {
  const match = /^\/?([^/]+)\/([^/]+)$/.exec(text);
  if (match === null)
    throw new InvalidArgumentError('Expected SERVICE/METHOD, such as echo.v1.EchoService/Echo.');
  return { service: match[1] ?? '', method: match[2] ?? '' };
}

function readMetadata(text: string, earlier: [string, string][] | undefined): [string, string][] {
  const split = text.indexOf('=');
  const pair: [string, string] = [text.slice(0, split).toLowerCase(), text.slice(split + 1)];
  if (split <= 0) throw new InvalidArgumentError('Expected NAME=VALUE.');
  try {
    metadataOf([pair]);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
  return [...(earlier ?? []), pair];
}

function metadataOf(pairs: readonly (readonly [string, string])[]): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of pairs)
    metadata.add(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  return metadata;
}

async function callOn(
  target: Target,
  name: Method,
  given: MethodTypes | undefined,
  options: CallOptions,
  io: Io,
): Promise<CallEnd> {
  const client = new Client(target.address, credentials.createInsecure(), {
    ...CHANNEL_OPTIONS,
    'grpc.max_receive_message_length': LONGEST_ANSWER_BYTES,
  });
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once('SIGINT', interrupt);
  try {
    const types =
      given ??
      findMethod(
        await reflect(client, name.service, target.address, LOOKUP_TIMEOUT_MS),
        name.service,
        name.method,
      );
    const report = new Report(target, name, options, io);
    const result = await invoke(client, `/${name.service}/${name.method}`, {
      types,
      metadata: metadataOf(options.metadata ?? []),
      deadline: deadlineOf(types.method, options.timeout),
      messages: messagesOf(types.method, options.data ?? [], io),
      emitDefaults: options.emitDefaults === true,
      onHeader: header => report.header(header),
      onAnswer: answer => report.answer(answer),
      signal: interrupted.signal,
    });
    report.end(result);
    return { code: result.status.code, latencyMs: result.latencyMs };
  } finally {
    process.off('SIGINT', interrupt);
    client.close();
    // A call can be over before its input is; a pipe that stays open would keep the process.
    if (options.data?.includes('-')) io.stdin.destroy();
  }
}

function deadlineOf(method: DescMethod, timeoutMs: number | undefined): Date | undefined {
  const ms = timeoutMs ?? (method.methodKind === 'unary' ? DEFAULT_UNARY_TIMEOUT_MS : undefined);
  return ms === undefined ? undefined : new Date(Date.now() + ms);
}

function messagesOf(method: DescMethod, data: readonly string[], io: Io): AsyncIterable<string> {
  const takesStream = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  const messages = readMessages(data, io.stdin, takesStream ? 'none' : 'one');
  return takesStream ? messages : exactlyOne(messages, method.name);
}

/** Prints what comes, or gathers it for `-o json`. */
class Report {
  readonly #target: Target;
  readonly #name: Method;
  readonly #options: CallOptions;
  readonly #io: Io;
  readonly #answers: JsonValue[] = [];
  #header: Record<string, string[]> = {};

  constructor(target: Target, name: Method, options: CallOptions, io: Io) {
    this.#target = target;
    this.#name = name;
    this.#options = options;
    this.#io = io;
    if (options.output === 'json') return;
    const paint = paintFor(io.stderr, io.env);
    const backend =
      target.id === '' || target.id === target.address ? target.address : `${target.id} (${target.address})`;
    io.stderr.write(`${paint('bold', clean(backend))}: ${clean(target.why)}\n`);
  }

  header(metadata: Metadata): void {
    this.#header = plainMetadata(metadata);
    if (this.#options.verbose === true) this.#printMetadata('header', this.#header);
  }

  answer(answer: JsonValue): void {
    if (this.#options.output === 'json') this.#answers.push(answer);
    else this.#io.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  }

  end({ status, latencyMs }: Result): void {
    const trailer = plainMetadata(status.metadata);
    const [details] = status.metadata.get('grpc-status-details-bin');
    const violations = fieldViolations(Buffer.isBuffer(details) ? details : undefined);
    const name = statusName(status.code);
    if (this.#options.output === 'json') {
      const { id, address, why } = this.#target;
      const error = { code: status.code, name, message: status.details, violations };
      printJson(this.#io, {
        ...this.#name,
        backend: { id, address, why },
        status: error,
        latencyMs: Number(latencyMs.toFixed(3)),
        header: this.#header,
        answers: this.#answers,
        trailer,
      });
      return;
    }
    if (this.#options.verbose === true) this.#printMetadata('trailer', trailer);
    const paint = paintFor(this.#io.stderr, this.#io.env);
    const fine = status.code === Status.OK;
    const message = fine || status.details === '' ? '' : `: ${clean(status.details)}`;
    this.#io.stderr.write(
      `${paint(fine ? 'green' : 'red', name)}${message} in ${formatLatency(latencyMs)}\n`,
    );
    for (const violation of violations) this.#io.stderr.write(`  ${violation}\n`);
  }

  #printMetadata(kind: string, metadata: Record<string, string[]>): void {
    for (const [name, values] of Object.entries(metadata)) {
      for (const value of values) this.#io.stderr.write(`${kind} ${clean(name)}: ${clean(value)}\n`);
    }
  }
}

/** Binary values as base64. */
function plainMetadata(metadata: Metadata): Record<string, string[]> {
  const names = Object.keys(metadata.getMap());
  return Object.fromEntries(
    names.map(name => [
      name,
      metadata.get(name).map(value => (Buffer.isBuffer(value) ? value.toString('base64') : value)),
    ]),
  );
}
