/** `heapmesh log dump --config FILE` for a log on Kafka: every record of its topic that is still there. */
import { hostname } from 'node:os';
import { ConfigError, loadConfig } from '../../config/config.ts';
import { decodeProposal, Message } from '../../state/codec.ts';
import { reasonOf } from '../../state/kafka/reasons.ts';
import { Session } from '../../state/kafka/session.ts';
import { decodeLoads } from '../../state/load-codec.ts';
import { printProblems, readConfigFile } from '../check-config.ts';
import { CliError, Exit, type Io, QuietExit } from '../cli.ts';
import { kafkaOptions } from '../wiring/kafka.ts';

/** Reads as far as the topic reached when it began. */
export async function dumpKafka(file: string, io: Io): Promise<void> {
  const options = optionsOf(file, io);
  const { topic } = options;
  const session = new Session(options, 0);
  try {
    const { start, end } = await session.bounds(topic);
    for (let next = start; next < end; ) {
      const { records, next: behind } = await session.fetch(topic, next, 500);
      const lines = records.map(({ offset, value }) => {
        const line = { topic, position: offset + 1, ...plainOf(value) };
        return `${JSON.stringify(line)}\n`;
      });
      io.stdout.write(lines.join(''));
      next = behind;
    }
  } catch (error) {
    const why = `cannot read the topic ${topic} at ${options.brokers.join(', ')}: ${reasonOf(error)}`;
    throw new CliError(why, Exit.FAILURE, { cause: error });
  } finally {
    await session.close();
  }
}

function optionsOf(file: string, io: Io): ReturnType<typeof kafkaOptions> {
  try {
    const { config } = loadConfig(readConfigFile(file), {
      file,
      hostname: hostname(),
      flags: { insecure: true },
    });
    if (config.state.log === 'kafka') return kafkaOptions(config);
    throw new CliError(`${file}: state.log is ${config.state.log}; expected kafka`, Exit.USAGE);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printProblems(io, error);
    throw new QuietExit(Exit.USAGE);
  }
}

function plainOf(message: Buffer): object {
  const type = message[0] ?? 0;
  try {
    if (type === Message.PROPOSAL) return { kind: 'entry', ...decodeProposal(message) };
    if (type === Message.LOADS) return { kind: 'loads', loads: decodeLoads(message) };
    if (type === Message.MARK) return { kind: 'snapshot' };
    return { kind: 'unknown', type };
  } catch (error) {
    return { kind: 'damaged', type, why: reasonOf(error) };
  }
}
