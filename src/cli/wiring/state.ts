/** The log that the configuration names, opened, and how a mesh begins with what it had and goes on. */
import type { Config } from '../../config/config.ts';
import type { Clock } from '../../control/control.ts';
import type { Proposal } from '../../core/entries.ts';
import { INSTANCE_LIMITS } from '../../core/limits.ts';
import { type LoadNote, noteLoads } from '../../core/load-note.ts';
import type { Mesh } from '../../core/mesh.ts';
import { LogLink } from '../../state/follow.ts';
import type { KafkaLog } from '../../state/kafka/kafka-log.ts';
import type { Log, Recovered } from '../../state/log.ts';
import { MemoryLog } from '../../state/memory-log.ts';
import type { Logger } from '../../telemetry/telemetry.ts';

export interface StatePart {
  readonly log: Log;
  /** Where others share it. */
  readonly shared: KafkaLog | undefined;
  /** Of this life. */
  readonly epoch: number;
  readonly append: (proposal: Proposal) => void;
  /** Gives the mesh what was, and all that comes. */
  attach(mesh: Mesh): void;
  /** For `/readyz`. */
  detail(): Record<string, unknown>;
  close(): Promise<void>;
}

interface Surroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onError: (error: unknown) => void;
}

export async function openState(config: Config, around: Surroundings): Promise<StatePart> {
  const { clock, logger, onError } = around;
  const { log, recovered, shared } = await open(config, around);
  // A clock that was set back must not begin a life that is over.
  const epoch = Math.max(recovered.epoch + 1, clock.wall());
  const link = new LogLink(log);
  let callOffNote: (() => void) | undefined;
  const stopTelling = log.onStatus(({ state, why }) => {
    if (state === 'healthy') logger.info('the log answers again, and has all changes');
    else logger.error(`the log is ${state}: ${why}`);
  });
  return {
    log,
    shared,
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
      adoptLoads(mesh, recovered.loads, clock);
      if (log.kind === 'memory') return;
      const head = { origin: config.instance.id, epoch };
      const note = () => {
        try {
          log.noteLoads(noteLoads(mesh, { ...head, time: clock.wall() }, clock.now()));
        } catch (error) {
          onError(error);
        }
        callOffNote = clock.after(INSTANCE_LIMITS.noteMs, note);
      };
      callOffNote = clock.after(INSTANCE_LIMITS.noteMs, note);
    },
    detail() {
      const { state, why, pending, durable, figures } = log.status();
      const wrong = why === '' ? {} : { why };
      return { kind: log.kind, state, ...wrong, position: durable, pending, ...figures };
    },
    async close() {
      callOffNote?.();
      stopTelling();
      await log.close();
      link.stop();
    },
  };
}

async function open(
  config: Config,
  { logger, onError }: Surroundings,
): Promise<{ log: Log; recovered: Recovered; shared: KafkaLog | undefined }> {
  if (config.state.log === 'memory') {
    return { log: new MemoryLog({ onError }), recovered: NOTHING, shared: undefined };
  }
  // Loaded here, so that nobody else waits for Kafka's client.
  const { openKafka } = await import('./kafka.ts');
  const { log, recovered } = await openKafka(config, { onNote: text => logger.warn(text), onError });
  logger.info('the log on Kafka is open', { position: log.last, servers: recovered.snapshot.records.length });
  return { log, recovered, shared: log };
}

const NOTHING: Recovered = {
  snapshot: {
    position: 0,
    records: [],
    words: [],
    answers: [],
    instances: [],
    skipped: 0,
    notUnderstood: 0,
  },
  loads: [],
  epoch: 0,
};

/** The youngest word on each server's load, as old as it is by now. */
function adoptLoads(mesh: Mesh, notes: readonly LoadNote[], clock: Clock): void {
  const wall = clock.wall();
  const now = clock.now();
  for (const { time, rows } of notes.toSorted((a, b) => a.time - b.time)) {
    const agedMs = Math.max(0, wall - time);
    for (const row of rows) {
      const slot = mesh.slotOf(row.id);
      if (slot >= 0) mesh.adopt(slot, { ...row, ageMs: row.ageMs + agedMs }, now);
    }
  }
}
