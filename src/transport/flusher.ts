/**
 * When connections write what they have to say.
 *
 * Where many are read in one turn of the event loop, all write once at its end: calls of many callers share a write
 * to a backend, and many answers one to a caller. Where a turn mostly reads one connection, nothing is gained by
 * that, and what its octets led to is written as soon as they have been read: an immediate costs a lone call a tenth
 * of its time.
 */

export interface Flushable {
  flush(): void;
}

/** Turns with one read each after which the end of a turn is not waited for. */
const LONELY_TURNS = 16;
/** Reads, while the end of a turn is not waited for, of which one looks how many there are in its turn. */
const LOOK_EVERY = 16;

export class Flusher {
  // Places are used again, as an array that is emptied gives up its memory.
  private waiting: (Flushable | undefined)[] = [];
  private count = 0;
  private running: (Flushable | undefined)[] = [];
  private scheduled = false;
  private reading = false;
  /** Whether the end of a turn is waited for. */
  private patient = true;
  /** Reads since the last look. */
  private unseen = 0;
  /** Reads of this turn, since its end was scheduled. */
  private reads = 0;
  private lonely = 0;
  private readonly turnOver = (): void => {
    this.scheduled = false;
    if (this.reads === 1) this.lonely++;
    if (this.reads > 1) {
      this.lonely = 0;
      this.patient = true;
    } else if (this.lonely >= LONELY_TURNS) {
      this.patient = false;
    }
    this.run();
  };

  /** To be called before a connection is given what it has read ... */
  beginRead(): void {
    this.reading = true;
    if (this.scheduled) this.reads++;
  }

  /** ... and after it. */
  endRead(): void {
    this.reading = false;
    if (this.patient) return;
    this.run();
    if (++this.unseen < LOOK_EVERY || this.scheduled) return;
    this.unseen = 0;
    this.schedule();
    this.reads = 1;
  }

  /** To be called once until `flush` is called back. */
  add(one: Flushable): void {
    this.waiting[this.count++] = one;
    if (this.scheduled || (this.reading && !this.patient)) return;
    this.schedule();
  }

  private schedule(): void {
    this.scheduled = true;
    this.reads = this.reading ? 1 : 0;
    setImmediate(this.turnOver);
  }

  private run(): void {
    const { waiting, count } = this;
    this.waiting = this.running;
    this.running = waiting;
    this.count = 0;
    for (let i = 0; i < count; i++) {
      (waiting[i] as Flushable).flush();
      waiting[i] = undefined;
    }
  }
}
