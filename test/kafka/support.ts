/** Instances of one process on a log of Kafka, without what surrounds them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from '../../src/core/registry.ts';
import { LogLink } from '../../src/state/follow.ts';
import { KafkaLog, type KafkaLogOptions } from '../../src/state/kafka/kafka-log.ts';

export interface Member {
  readonly id: string;
  readonly epoch: number;
  readonly log: KafkaLog;
  readonly registry: Registry;
  readonly folder: string;
  readonly notes: string[];
  /** Leaves the folder to a later life. */
  close(): Promise<void>;
}

export interface MemberOptions extends Partial<KafkaLogOptions> {
  readonly brokers: readonly string[];
  readonly epoch?: number;
}

const folders = new Set<string>();

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'heapmesh-spool-'));
  folders.add(made);
  return made;
}

export function removeFolders(): void {
  for (const one of folders) rmSync(one, { recursive: true, force: true });
}

export async function member(id: string, options: MemberOptions): Promise<Member> {
  const { epoch: given, ...rest } = options;
  const directory = options.directory ?? folder();
  const notes: string[] = [];
  const { log, recovered } = await KafkaLog.open({
    clientId: `heapmesh-${id}`,
    topic: 'heapmesh.log',
    instanceId: id,
    onNote: text => notes.push(text),
    onError: error => notes.push(String(error)),
    ...rest,
    directory,
  });
  const epoch = given ?? recovered.epoch + 1;
  const link = new LogLink(log);
  const registry = new Registry({ instanceId: id, epoch, append: link.append, wallClock: Date.now });
  if (recovered.snapshot.position > 0) registry.restore(recovered.snapshot);
  log.serveSnapshots(
    () => registry.snapshot(),
    (snapshot, settled) => registry.adopt(snapshot, settled),
  );
  link.follow(registry);
  return {
    id,
    epoch,
    log,
    registry,
    folder: directory,
    notes,
    async close() {
      link.stop();
      await log.close();
    },
  };
}
