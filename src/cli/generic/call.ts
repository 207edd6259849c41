/** The work of `heapmesh call`: finds the backend and the types, makes the call, prints what comes. */
import type { DescMethod } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { Status } from '../../grpc/status.ts';
import { CliError, Exit, type Io, QuietExit } from '../cli.ts';
import { CHANNEL_OPTIONS } from '../control.ts';
import type { OutputFormat } from '../options.ts';
import { invoke } from './invoke.ts';
import { checkData, exactlyOne, readMessages } from './messages.ts';
import { readProtoFiles } from './proto-files.ts';
import { reflect } from './reflection.ts';
import { Report } from './report.ts';
import { type CallEnd, type Target, withTarget } from './target.ts';
import { findMethod, type MethodTypes } from './types.ts';

/** Of picks, heap and reflection; `--timeout` is the call's here. */
const LOOKUP_TIMEOUT_MS = 5_000;
const DEFAULT_UNARY_TIMEOUT_MS = 10_000;
/** Answers are printed, so that more than this is a mistake of a kind. */
const LONGEST_ANSWER_BYTES = 64 * 1024 ** 2;

export interface CallOptions {
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

export interface MethodName {
  readonly service: string;
  readonly method: string;
}

/** @throws QuietExit where the status is not OK; CliError where no call came about. */
export async function call(name: MethodName, options: CallOptions, io: Io): Promise<void> {
  if (options.address !== undefined && (options.hashKey ?? options.zone) !== undefined) {
    throw new CliError('--hash-key and --zone are for picks; with --address there is none', Exit.USAGE);
  }
  // Mistakes of the command line are found before anything is asked or called.
  const metadata = metadataOf(options.metadata ?? []);
  const files = options.proto && readProtoFiles(options.proto, options.importFolder ?? []);
  const types = files && findMethod(files, name.service, name.method);
  await checkData(options.data ?? []);
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
    const end = await callOn(found, name, types, metadata, options, io);
    code = end?.code ?? Status.OK;
    return end;
  });
  if (code !== Status.OK) throw new QuietExit(Exit.FAILURE);
}

/** @throws CliError for a name or a value that no metadata can hold. */
function metadataOf(pairs: readonly (readonly [string, string])[]): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of pairs) {
    try {
      metadata.add(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
    } catch (error) {
      throw new CliError(`--metadata ${name}: ${(error as Error).message}`, Exit.USAGE, { cause: error });
    }
  }
  return metadata;
}

async function callOn(
  target: Target,
  name: MethodName,
  given: MethodTypes | undefined,
  metadata: Metadata,
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
  process.once('SIGTERM', interrupt);
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
      metadata,
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
    process.off('SIGTERM', interrupt);
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
