/**
 * Events in the order of their times: a 4-ary heap over typed arrays. An event is two integers, so that
 * nothing is allocated for one. Events of one time come in the order in which they were put in.
 */
export class EventQueue {
  size = 0;
  /** Of the event that `pop` took. */
  time = 0;
  code = 0;
  subject = 0;

  private times = new Float64Array(1024);
  private orders = new Float64Array(1024);
  private codes = new Int32Array(1024);
  private subjects = new Int32Array(1024);
  private order = 0;

  /** Time of the next event; +Infinity where there is none. */
  peek(): number {
    return this.size > 0 ? (this.times[0] as number) : Number.POSITIVE_INFINITY;
  }

  push(time: number, code: number, subject: number): void {
    if (this.size === this.times.length) this.grow();
    const { times, orders, codes, subjects } = this;
    const order = this.order++;
    let hole = this.size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 2;
      if ((times[parent] as number) <= time) break;
      times[hole] = times[parent] as number;
      orders[hole] = orders[parent] as number;
      codes[hole] = codes[parent] as number;
      subjects[hole] = subjects[parent] as number;
      hole = parent;
    }
    times[hole] = time;
    orders[hole] = order;
    codes[hole] = code;
    subjects[hole] = subject;
  }

  /** Takes the next event into `time`, `code` and `subject`. */
  pop(): void {
    const { times, orders, codes, subjects } = this;
    this.time = times[0] as number;
    this.code = codes[0] as number;
    this.subject = subjects[0] as number;
    const size = --this.size;
    const time = times[size] as number;
    const order = orders[size] as number;
    let hole = 0;
    for (let child = 1; child < size; child = (hole << 2) + 1) {
      const end = Math.min(child + 4, size);
      let least = child;
      for (child++; child < end; child++) {
        const a = times[child] as number;
        const b = times[least] as number;
        if (a < b || (a === b && (orders[child] as number) < (orders[least] as number))) least = child;
      }
      const leastTime = times[least] as number;
      if (time < leastTime || (time === leastTime && order < (orders[least] as number))) break;
      times[hole] = leastTime;
      orders[hole] = orders[least] as number;
      codes[hole] = codes[least] as number;
      subjects[hole] = subjects[least] as number;
      hole = least;
    }
    times[hole] = time;
    orders[hole] = order;
    codes[hole] = codes[size] as number;
    subjects[hole] = subjects[size] as number;
  }

  private grow(): void {
    const size = this.times.length * 2;
    this.times = widened(this.times, new Float64Array(size));
    this.orders = widened(this.orders, new Float64Array(size));
    this.codes = widened(this.codes, new Int32Array(size));
    this.subjects = widened(this.subjects, new Int32Array(size));
  }
}

/** Copies an array into a larger one. */
export function widened<T extends Float64Array | Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from as never);
  return to;
}
