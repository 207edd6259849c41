/** Writes what connections have to say once a turn of the event loop, after everything that was read in it. */

export interface Flushable {
  flush(): void;
}

export class Flusher {
  private waiting: Flushable[] = [];
  private running: Flushable[] = [];
  private scheduled = false;
  private readonly run = (): void => {
    this.scheduled = false;
    const now = this.waiting;
    this.waiting = this.running;
    this.running = now;
    for (let i = 0; i < now.length; i++) (now[i] as Flushable).flush();
    now.length = 0;
  };

  /** To be called once until `flush` is called back. */
  add(one: Flushable): void {
    this.waiting.push(one);
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.run);
  }
}
