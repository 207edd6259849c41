/**
 * What goes into a file of the log behind the entries, and nobody waits for: the note of load, of which the
 * next one takes the place, and noted picks, which are dropped, and counted, where too many wait.
 */
import { STATE_LIMITS } from '../core/limits.ts';
import type { LoadNote } from '../core/load-note.ts';
import type { RecordWriter } from './format.ts';
import { encodeLoads } from './load-codec.ts';

export class Behind {
  /** Messages of other kinds, since the beginning: taken, and of those and all others dropped. */
  taken = 0;
  dropped = 0;
  /** The notes of load that were written last, as messages. */
  lastNotes: readonly Buffer[];
  #note: LoadNote | undefined;
  #asides: Buffer[] = [];

  constructor(lastNotes: readonly Buffer[]) {
    this.lastNotes = lastNotes;
  }

  get isEmpty(): boolean {
    return this.#note === undefined && this.#asides.length === 0;
  }

  note(note: LoadNote): void {
    this.#note = note;
  }

  /** False: it was dropped. */
  add(message: Buffer): boolean {
    if (this.#asides.length >= STATE_LIMITS.asides) {
      this.dropped++;
      return false;
    }
    this.taken++;
    this.#asides.push(message);
    return true;
  }

  /** Appends all that waits. */
  writeTo(writer: RecordWriter, position: number, time: number, synced: number): void {
    if (this.#note !== undefined) {
      const message = encodeLoads(this.#note);
      this.#note = undefined;
      this.lastNotes = [message];
      writer.add(message, position, time, synced);
    }
    for (const message of this.#asides) writer.add(message, position, time, synced);
    this.#asides = [];
  }

  /** Nothing of it can be kept. */
  drop(): void {
    this.#note = undefined;
    this.dropped += this.#asides.length;
    this.#asides = [];
  }
}
