/** What an instance writes: its changes first, then a snapshot where one is due, then its note of load. */
import { KAFKA_LIMITS } from '../../core/limits.ts';
import type { Outbox } from './outbox.ts';
import { reasonOf } from './reasons.ts';
import { type KafkaCluster, kafkaCode, Session } from './session.ts';
import { encodeMark, type Snapshots } from './snapshots.ts';
import type { Topics } from './topics.ts';

export interface SenderOptions {
  readonly cluster: KafkaCluster;
  readonly topics: Topics;
  /** Of its records. */
  readonly key: Buffer;
  readonly outbox: Outbox;
  readonly snapshots: Snapshots;
  /** False as long as nothing may be written. */
  readonly mayWrite: () => boolean;
  readonly onFault: (why: string) => void;
  /** Waits so long, or until the end. */
  readonly pause: (attempt: number) => Promise<void>;
}

/** How often it is looked whether writing is allowed again, ms. */
const LOOK_MS = 100;
const IDLE_MS = 60_000;

export class Sender {
  readonly #options: SenderOptions;
  #note: Buffer | undefined;
  #wake: (() => void) | undefined;
  #over = false;
  /** Proposals that the log took. */
  appended = 0;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** The next note of load; one that was not written yet gives way. */
  note(message: Buffer): void {
    this.#note = message;
    this.wake();
  }

  /** There is something to write. */
  wake(): void {
    this.#wake?.();
  }

  end(): void {
    this.#over = true;
    this.wake();
  }

  /** Resolves at the end. */
  async run(): Promise<void> {
    const { cluster, outbox, snapshots, mayWrite, onFault, pause } = this.#options;
    let attempt = 0;
    let session = new Session(cluster, attempt);
    while (!this.#over) {
      const idle = !outbox.isDue && this.#note === undefined && !snapshots.isDue;
      if (idle || !mayWrite()) {
        await this.#rest(idle ? IDLE_MS : LOOK_MS);
        continue;
      }
      try {
        await this.#write(session);
        attempt = 0;
      } catch (error) {
        if (this.#over) break;
        onFault(reasonOf(error));
        void session.close();
        await pause(attempt);
        session = new Session(cluster, ++attempt);
      }
    }
    await session.close();
  }

  async #write(session: Session): Promise<void> {
    const { outbox, snapshots, topics, key } = this.#options;
    if (outbox.isDue) {
      await this.#writeBatch(session);
    } else if (snapshots.isDue) {
      const position = await snapshots.write(session);
      if (position > 0) await session.append(topics.log, key, [encodeMark(position)]);
    } else if (this.#note !== undefined) {
      const note = this.#note;
      this.#note = undefined;
      await session.append(topics.log, key, [note], true);
    }
  }

  async #writeBatch(session: Session): Promise<void> {
    const { outbox, topics, key } = this.#options;
    const { keys, messages } = outbox.batch();
    if (messages.length > 0) {
      try {
        await session.append(topics.log, key, messages);
      } catch (error) {
        if (!/TOO_LARGE/.test(kafkaCode(error))) throw error;
        const why = `the topic ${topics.log} takes no record of ${messages[0]?.length} octets: raise its max.message.bytes to ${KAFKA_LIMITS.recordBytes}`;
        outbox.tooLarge(keys, new Error(why));
        return;
      }
      this.appended += messages.length;
    }
    outbox.sent(keys);
  }

  async #rest(mostMs: number): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, mostMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#over) this.#wake();
    });
    this.#wake = undefined;
  }
}
