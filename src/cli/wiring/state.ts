/** The log that the configuration names, opened, and how a mesh begins with what it had and goes on. */
import type { Config } from '../../config/config.ts';
import type { Clock } from '../../control/control.ts';
import type { Proposal } from '../../core/entries.ts';
import { adoptNote } from '../../core/load-note.ts';
import type { Mesh } from '../../core/mesh.ts';
import { EMPTY_SNAPSHOT } from '../../core/snapshot.ts';
import { LogLink } from '../../state/follow.ts';
import type { KafkaLog } from '../../state/kafka/kafka-log.ts';
import type { Log, Recovered } from '../../state/log.ts';
import { MemoryLog } from '../../state/memory-log.ts';
import type { OpenedFileLog } from '../../state/open.ts';
import type { Logger } from '../../telemetry/telemetry.ts';
import { NOTHING_NOTED, type NotedPicks, noteDecisions } from './decisions.ts';
import { openFile } from './file-log.ts';
import { LoadNoter } from './load-noter.ts';

export interface StatePart {
  readonly log: Log;
  /** Where others share it. */
  readonly shared: KafkaLog | undefined;
  /** Picks that are noted; those of a log in files after `attach`. */
  readonly noted: NotedPicks;
  /** Of this life. */
  readonly epoch: number;
  readonly append: (proposal: Proposal) => void;
  /** Gives the mesh what was, and all that comes. */
  attach(mesh: Mesh): void;
  /** Why a change cannot be kept right now; empty where it can, or where it waits. */
  cannotKeep(): string;
  /** For `/readyz`. */
  detail(): Record<string, unknown>;
  close(): Promise<void>;
}

interface Surroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onError: (error: unknown) => void;
  /** Begins with nothing, whatever the log has; for a log in files. */
  readonly ignoreState?: boolean | undefined;
}

export async function openState(config: Config, around: Surroundings): Promise<StatePart> {
  const { clock, logger, onError } = around;
  const { log, recovered, shared, file, close } = await open(config, around);
  // A clock that was set back must not begin a life that is over.
  const epoch = file?.epoch ?? Math.max(recovered.epoch + 1, clock.wall());
  const link = new LogLink(log);
  let noter: LoadNoter | undefined;
  let noted = NOTHING_NOTED;
  const stopTelling = log.onStatus(({ state, why }) => {
    if (state === 'healthy') logger.info('the log answers again, and has all changes');
    else logger.error(`the log is ${state}: ${why}`);
  });
  return {
    log,
    shared,
    get noted() {
      return noted;
    },
    epoch,
    append: link.append,
    attach(mesh) {
      const { registry } = mesh;
      if (recovered.snapshot.position > 0) registry.restore(recovered.snapshot);
      shared?.serveSnapshots(
        () => registry.snapshot(),
        (snapshot, settled) => registry.adopt(snapshot, settled),
      );
      link.follow(registry);
      file?.log.snapshotFrom(() => registry.snapshot());
      if (file !== undefined) {
        noted = noteDecisions(config.state.decisions, file.log, mesh, { wall: clock.wall, logger });
      } else if (config.state.decisions.sampleRatio > 0 || config.state.decisions.traced) {
        logger.warn(`state.decisions: with state.log: ${log.kind} no picks are noted; expected log: file`);
      }
      // The youngest word on a server's load last: it is the one that counts.
      for (const note of recovered.loads.toSorted((a, b) => a.time - b.time)) {
        adoptNote(mesh, note, clock.now(), clock.wall());
      }
      if (log.kind === 'memory') return;
      const what = file === undefined ? 'the log on Kafka is open' : 'the log is open';
      const where = file === undefined ? {} : { directory: config.state.directory };
      logger.info(what, { ...where, position: log.last, servers: registry.list().length });
      noter = new LoadNoter({ log, mesh, origin: config.instance.id, epoch, clock, onError });
    },
    cannotKeep() {
      const { state, why } = log.status();
      return state === 'read-only' ? why : '';
    },
    detail() {
      const { state, why, pending, durable, figures } = log.status();
      const wrong = why === '' ? {} : { why };
      return { kind: log.kind, state, ...wrong, position: durable, pending, ...figures };
    },
    async close() {
      await noter?.stop();
      stopTelling();
      await (close?.() ?? log.close());
      link.stop();
    },
  };
}

interface Opened {
  readonly log: Log;
  readonly recovered: Recovered;
  readonly shared?: KafkaLog;
  readonly file?: OpenedFileLog;
  /** With what belongs to it. */
  readonly close?: () => Promise<void>;
}

async function open(config: Config, around: Surroundings): Promise<Opened> {
  const { logger, onError } = around;
  if (config.state.log === 'memory') return { log: new MemoryLog({ onError }), recovered: NOTHING };
  if (config.state.log === 'file') {
    const file = await openFile(config, around);
    const { log, recovered } = file;
    return { log, recovered, file, close: file.close };
  }
  // Loaded here, so that nobody else waits for Kafka's client.
  const { openKafka } = await import('./kafka.ts');
  const kafka = await openKafka(config, { onNote: text => logger.warn(text), onError });
  const { log, recovered } = kafka;
  return { log, recovered, shared: log, close: kafka.close };
}

const NOTHING: Recovered = {
  snapshot: EMPTY_SNAPSHOT,
  loads: [],
  epoch: 0,
};
