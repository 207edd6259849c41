/** From the configuration of a log on Kafka to its options: files are read here. */
import { readFileSync } from 'node:fs';
import type { Config } from '../../config/config.ts';
import { filesIn } from '../../state/files.ts';
import { KafkaLog, type KafkaLogOptions } from '../../state/kafka/kafka-log.ts';
import { LogFault } from '../../state/kafka/recover.ts';
import { type Lock, LockedError, lockDirectory } from '../../state/lock.ts';
import { CliError, Exit } from '../cli.ts';

type Options = Omit<KafkaLogOptions, 'onNote' | 'onError'>;

/** @throws CliError for a file that cannot be read. */
export function kafkaOptions(config: Config): Options {
  const { brokers, topic, directory, tls, sasl } = config.state;
  const { id } = config.instance;
  return {
    brokers,
    topic,
    directory,
    instanceId: id,
    clientId: `heapmesh-${id.replaceAll(/[^A-Za-z0-9._-]/g, '-')}`,
    ...(tls !== undefined && { tls: tlsOf(tls) }),
    ...(sasl !== undefined && { sasl: saslOf(sasl) }),
  };
}

type OpenedKafka = Awaited<ReturnType<typeof KafkaLog.open>> & { close(): Promise<void> };

/** @throws CliError where the topics are not what a log needs, or another process has the directory. */
export async function openKafka(
  config: Config,
  on: Pick<KafkaLogOptions, 'onNote' | 'onError'>,
): Promise<OpenedKafka> {
  const options = kafkaOptions(config);
  const files = filesIn(options.directory);
  let lock: Lock | undefined;
  try {
    await files.make();
    // Two instances would empty the file of changes that wait under each other's hands.
    lock = await lockDirectory(files, Math.random, text => on.onNote?.(text));
    const opened = await KafkaLog.open({ ...options, ...on });
    const { log } = opened;
    const held = lock;
    return { ...opened, close: () => log.close().finally(() => held.release()) };
  } catch (error) {
    await lock?.release();
    const { message, code } = error as NodeJS.ErrnoException;
    if (error instanceof LogFault || error instanceof LockedError)
      throw new CliError(message, Exit.FAILURE, { cause: error });
    if (code === undefined || lock !== undefined) throw error;
    const why = `the directory ${options.directory} of changes that wait cannot be used: ${message}`;
    throw new CliError(why, Exit.FAILURE, { cause: error });
  }
}

function tlsOf({ ca, cert, key, serverName }: NonNullable<Config['state']['tls']>) {
  return {
    ...(ca !== undefined && { ca: fileOf('state.tls.ca', ca) }),
    ...(cert !== undefined && { cert: fileOf('state.tls.cert', cert) }),
    ...(key !== undefined && { key: fileOf('state.tls.key', key) }),
    ...(serverName !== undefined && { servername: serverName }),
  };
}

const MECHANISMS = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
  oauthbearer: 'OAUTHBEARER',
} as const;

function saslOf({ mechanism, username, password, passwordFile }: NonNullable<Config['state']['sasl']>) {
  // Read anew for each connection, so that a secret can be changed under a running instance.
  const secret = () =>
    passwordFile === undefined
      ? (password ?? '')
      : fileOf('state.sasl.passwordFile', passwordFile).toString('utf8').trimEnd();
  if (mechanism === 'oauthbearer')
    return { mechanism: MECHANISMS[mechanism], token: secret, authBytesValidator: tokenTaken };
  return { mechanism: MECHANISMS[mechanism], username: username ?? '', password: secret };
}

/**
 * RFC 7628 3.2.2: a server that does not take a token "returns an error result" as JSON; one that takes it returns nothing.
 * Kafka's client goes on either way, and fails at its next request with words that say nothing of a token.
 */
function tokenTaken(answer: Buffer, taken: (error: Error | null, answer: Buffer) => void): void {
  const said = answer.toString('utf8');
  taken(said === '' ? null : new Error(`the broker does not take the token: ${said.slice(0, 200)}`), answer);
}

function fileOf(key: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(`${key}: ${why}`, Exit.FAILURE, { cause: error });
  }
}
