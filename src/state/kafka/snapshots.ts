/**
 * When a snapshot is due, and how it is written. All instances count the same records; the one whose
 * record passes the mark writes, and the others write where it does not. A mark in the log says that it
 * is done, and begins the count anew.
 *
 *   mark = type:byte (0x85) position:varint      of the snapshot
 */
import { KAFKA_LIMITS } from '../../core/limits.ts';
import type { Snapshot } from '../../core/snapshot.ts';
import { Reader, Writer } from '../bytes.ts';
import { Message } from '../codec.ts';
import { type Envelope, encodeEnvelope } from './envelope.ts';
import { reasonOf } from './reasons.ts';
import type { Session } from './session.ts';
import type { Topics } from './topics.ts';

/** What is taken of the log's own state as a snapshot is due. */
interface Moment {
  readonly position: number;
  readonly fences: Envelope['fences'];
  /** By instance. */
  readonly loads: readonly (readonly [string, Buffer])[];
}

const KEY = Buffer.from('snapshot');
/** How much further than the mark an instance waits for the one whose turn it was. */
const PATIENCE = 1.25;

export class Snapshots {
  readonly #onNote: ((text: string) => void) | undefined;
  readonly #topics: Topics;
  #records = 0;
  #octets = 0;
  #due: Envelope | undefined;
  /** Undefined before there is somebody to ask. */
  take: (() => Snapshot) | undefined;
  /** What was recovered, until it is handed over. */
  last: Snapshot | undefined;
  /** Of the last one that is known of. */
  position = 0;
  written = 0;

  constructor(options: { readonly onNote?: (text: string) => void }, topics: Topics) {
    this.#onNote = options.onNote;
    this.#topics = topics;
  }

  get isDue(): boolean {
    return this.#due !== undefined;
  }

  begin(position: number): void {
    this.position = position;
    this.#records = 0;
    this.#octets = 0;
  }

  /** A record of the log was read. */
  count(octets: number): void {
    this.#records++;
    this.#octets += octets;
  }

  /** A record of the log was taken in; `moment` is asked where that makes a snapshot due here. */
  passed(octets: number, own: boolean, moment: () => Moment): void {
    this.count(octets);
    if (this.take === undefined || this.#due !== undefined) return;
    const share = Math.max(
      this.#records / KAFKA_LIMITS.snapshotEveryRecords,
      this.#octets / KAFKA_LIMITS.snapshotEveryBytes,
    );
    if (share < 1 || (!own && share < PATIENCE)) return;
    const { position, fences, loads } = moment();
    const snapshot = this.take();
    const known = new Set(snapshot.instances.map(one => one.id));
    const kept = loads.filter(([origin]) => known.has(origin)).map(([, message]) => message);
    this.#due = { position, fences, loads: kept, snapshot };
    this.#records = 0;
    this.#octets = 0;
  }

  /** Somebody has written one. */
  marked(message: Buffer, position: number): void {
    const from = new Reader(message);
    from.byte();
    this.begin(Math.min(from.varint(), position));
    this.#due = undefined;
  }

  /** Writes the one that is due. Resolves with its position; 0 where it could not be written. */
  async write(session: Session): Promise<number> {
    const envelope = this.#due;
    if (envelope === undefined) return 0;
    const record = await encodeEnvelope(envelope);
    if (record.length > KAFKA_LIMITS.snapshotBytes) {
      this.#due = undefined;
      this.#onNote?.(
        `a snapshot takes ${record.length} octets, more than ${KAFKA_LIMITS.snapshotBytes}: none is written`,
      );
      return 0;
    }
    await session.append(this.#topics.snapshots, KEY, [record]);
    if (this.#due === envelope) this.#due = undefined;
    this.written++;
    await this.#cut(session, envelope.position - KAFKA_LIMITS.keptRecords);
    return envelope.position;
  }

  /** What a snapshot has held for long may go. */
  async #cut(session: Session, offset: number): Promise<void> {
    if (offset <= 0) return;
    const partitions = [{ partition: 0, offset: BigInt(offset) }];
    try {
      await session.admin.deleteRecords({ topics: [{ name: this.#topics.log, partitions }] });
    } catch (error) {
      this.#onNote?.(`old records of ${this.#topics.log} cannot be deleted: ${reasonOf(error)}`);
    }
  }
}

export function encodeMark(position: number): Buffer {
  const out = new Writer(16);
  out.byte(Message.MARK);
  out.varint(position);
  return out.copy();
}
