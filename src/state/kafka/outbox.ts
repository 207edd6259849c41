/**
 * Own changes on their way to the log: in order, in batches, until each has been read back from it. What
 * waits for long is kept in a local file, too.
 */
import type { Proposal } from '../../core/entries.ts';
import { KAFKA_LIMITS } from '../../core/limits.ts';
import { decodeProposal, encodeProposal } from '../codec.ts';
import type { Fences } from './fences.ts';
import type { Spool } from './spool.ts';

interface Waiting {
  readonly message: Buffer;
  readonly since: number;
  readonly resolve: (position: number) => void;
  readonly reject: (error: Error) => void;
  spooled: boolean;
}

export class Outbox {
  readonly #spool: Spool;
  readonly #now: () => number;
  /** By epoch and number, the oldest first, those of an earlier life before all others. */
  readonly #waiting = new Map<string, Waiting>();
  /** Keys that are not in the log yet, as far as is known; they are sent in this order. */
  #unsent: string[] = [];
  #spooling = false;
  #spooled = 0;
  /** Why the local file does not take what waits; empty where it does. */
  fault = '';
  /** After a batch that the log found too large, they go one by one. */
  #singly = 0;

  constructor(spool: Spool, left: readonly Buffer[], now: () => number) {
    this.#spool = spool;
    this.#now = now;
    for (const message of left) {
      const { epoch, n } = decodeProposal(message);
      const key = keyOf(epoch, n);
      this.#waiting.set(key, { message, since: now(), resolve() {}, reject() {}, spooled: true });
      this.#unsent.push(key);
      this.#spooled++;
    }
  }

  /** The highest epoch among them; 0 where nothing waits. */
  get epoch(): number {
    let epoch = 0;
    for (const key of this.#waiting.keys()) epoch = Math.max(epoch, Number(key.split(' ')[0]));
    return epoch;
  }

  get size(): number {
    return this.#waiting.size;
  }

  get inFile(): number {
    return this.#spool.count;
  }

  /** Something has not been sent. */
  get isDue(): boolean {
    return this.#unsent.length > 0;
  }

  /** How long the oldest has waited, ms; 0 where none does. */
  oldestMs(): number {
    for (const { since } of this.#waiting.values()) return this.#now() - since;
    return 0;
  }

  add(proposal: Proposal): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const message = encodeProposal(proposal);
    if (message.length > KAFKA_LIMITS.recordBytes) {
      reject(
        new Error(`it takes ${message.length} octets, and a record at most ${KAFKA_LIMITS.recordBytes}`),
      );
      return promise;
    }
    const key = keyOf(proposal.epoch, proposal.n);
    this.#waiting.set(key, { message, since: this.#now(), resolve, reject, spooled: false });
    this.#unsent.push(key);
    return promise;
  }

  /** The next messages to send, in order. */
  batch(): { keys: readonly string[]; messages: Buffer[] } {
    const most = this.#singly > 0 ? 1 : KAFKA_LIMITS.batchProposals;
    const keys: string[] = [];
    const messages: Buffer[] = [];
    let octets = 0;
    for (const key of this.#unsent) {
      const message = this.#waiting.get(key)?.message;
      if (message === undefined) {
        // Read back before it was known to be sent.
        keys.push(key);
        continue;
      }
      if (
        messages.length >= most ||
        (messages.length > 0 && octets + message.length > KAFKA_LIMITS.batchBytes)
      )
        break;
      keys.push(key);
      messages.push(message);
      octets += message.length;
    }
    return { keys, messages };
  }

  /** The log has a batch. */
  sent(keys: readonly string[]): void {
    // Not by their count: some may have left the list while the batch was under way.
    const gone = new Set(keys);
    this.#unsent = this.#unsent.filter(key => !gone.has(key));
    if (this.#singly > 0) this.#singly--;
  }

  /** The log takes no record of this size: a batch goes one by one, a single one is given up. */
  tooLarge(keys: readonly string[], error: Error): void {
    const held = keys.filter(key => this.#waiting.has(key));
    if (held.length > 1) {
      this.#singly = held.length;
      return;
    }
    this.sent(keys);
    for (const key of held) this.#settle(key)?.reject(error);
  }

  /** A proposal of this instance was read from the log. True where it was waited for. */
  read(epoch: number, n: number, position: number): boolean {
    const waiting = this.#settle(keyOf(epoch, n));
    waiting?.resolve(position);
    return waiting !== undefined;
  }

  /** Lets go of what the log has already, as its fences say. */
  settled(fences: Fences, origin: string, position: number): void {
    const last = fences.get(origin);
    if (last === undefined) return;
    for (const key of [...this.#waiting.keys()]) {
      const [epoch, n] = key.split(' ').map(Number) as [number, number];
      if (epoch < last.epoch || (epoch === last.epoch && n <= last.n)) this.#settle(key)?.resolve(position);
    }
    this.#unsent = this.#unsent.filter(key => this.#waiting.has(key));
  }

  /** Writes what has waited for long to the local file, and empties that once nothing in it waits. */
  async spool(afterMs: number = KAFKA_LIMITS.spoolAfterMs): Promise<void> {
    if (this.#spooling) return;
    this.#spooling = true;
    try {
      const due: Waiting[] = [];
      for (const one of this.#waiting.values()) {
        if (!one.spooled && this.#now() - one.since >= afterMs) due.push(one);
      }
      if (due.length > 0) {
        await this.#spool.add(due.map(one => one.message));
        for (const one of due) one.spooled = true;
        this.#spooled += due.length;
        this.fault = '';
        // Some may have been answered meanwhile.
        this.#spooled = [...this.#waiting.values()].filter(one => one.spooled).length;
      }
      if (this.#spooled === 0 && this.#spool.count > 0) await this.#spool.clear();
    } catch (error) {
      this.fault = error instanceof Error ? error.message : String(error);
    } finally {
      this.#spooling = false;
    }
  }

  #settle(key: string): Waiting | undefined {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    if (waiting?.spooled) this.#spooled--;
    return waiting;
  }
}

function keyOf(epoch: number, n: number): string {
  return `${epoch} ${n}`;
}
