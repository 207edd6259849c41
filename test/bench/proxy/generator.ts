/**
 * The load generator, a process of its own: `node generator.ts JSON`, with a `Job`. It prints one line of
 * JSON, a `Report`. What h2load cannot do: header blocks that differ on every call, a fixed rate, streams
 * that stay open.
 */
import { message } from '../../support/h2/wire.ts';
import { Blocks } from './blocks.ts';
import { Connection, type Handlers } from './connection.ts';
import { LatencyCounts } from './latency-counts.ts';

export interface Job {
  readonly address: string;
  readonly path: string;
  readonly connections: number;
  /** Calls at the same time on a connection, at most. */
  readonly streams: number;
  /** `unary`: calls one after the other. `echo`: long streams, a message there and back. `hold`: opened, and left. */
  readonly mode: 'unary' | 'echo' | 'hold';
  /** Calls (messages, with `echo`) after which it ends; or the seconds, whichever comes first. */
  readonly calls: number;
  readonly seconds: number;
  /** Calls a second, in an open loop: they begin when they are due, whatever has ended. 0: as fast as they end. */
  readonly rate: number;
  readonly messageBytes: number;
  /** Bytes of the answer's DATA; another number is a failed call. -1: any. */
  readonly answerBytes: number;
  readonly constant: number;
  readonly varying: number;
  readonly traced: boolean;
  readonly sampled: number;
}

export interface Report {
  readonly calls: number;
  readonly failed: number;
  /** Why the first failed. */
  readonly why: string;
  readonly seconds: number;
  /** From begin to end, in microseconds; of an open loop, from when it was due. */
  readonly latencyUs: {
    readonly p50: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  };
  /** Latencies counted by bucket, so that those of several runs can be added: see `LatencyCounts`. */
  readonly counts: readonly number[];
}

const job = JSON.parse(process.argv[2] ?? '') as Job;
const body = message(Buffer.alloc(job.messageBytes, 0x61));
const latencies = new Float64Array(1 << 20);
const began = new Map<number, number>();
let ended = 0;
let failed = 0;
let why = '';
let number = 0;
let over = false;
const finished = Promise.withResolvers<void>();

function count(): void {
  ended++;
  if (ended < job.calls || over) return;
  over = true;
  finished.resolve();
}

function note(call: number): void {
  const start = began.get(call);
  if (start === undefined) return;
  began.delete(call);
  latencies[ended % latencies.length] = performance.now() - start;
}

function fail(reason: string): void {
  failed++;
  if (why === '') why = reason;
}

function begin(connection: Connection, due = performance.now()): void {
  const call = number++;
  began.set(call, due);
  connection.begin(call, body);
}

/** When calls of an open loop were due that no connection had room for. */
const backlog: number[] = [];

const unary: Handlers = {
  done(connection, call, bytes) {
    note(call);
    if (job.answerBytes >= 0 && bytes !== job.answerBytes)
      fail(`${bytes} bytes came, not ${job.answerBytes}`);
    count();
    if (over) return;
    if (job.rate === 0) begin(connection);
    else if (backlog.length > 0) begin(connection, backlog.shift());
  },
  failed(connection, call, reason) {
    began.delete(call);
    fail(reason);
    count();
    if (!over && job.rate === 0 && !connection.socket.destroyed) begin(connection);
  },
};

const streamOf = new Map<number, number>();
const gotten = new Map<number, number>();
const echo: Handlers = {
  part(connection, call, bytes) {
    const now = (gotten.get(call) ?? 0) + bytes;
    if (now < body.length) {
      gotten.set(call, now);
      return;
    }
    gotten.set(call, now - body.length);
    note(call);
    count();
    if (over) return;
    began.set(call, performance.now());
    connection.send(streamOf.get(call) as number, body, false);
  },
  done: (_connection, _call, _bytes) => fail('a stream ended'),
  failed: (_connection, _call, reason) => fail(reason),
};
/** What is held must stay: whatever ends makes the figure worthless. */
function lost(reason: string): never {
  console.error(reason);
  process.exit(1);
}
/** Streams whose answer has not begun: they may not have come through to a backend. */
let unanswered = job.connections * job.streams;
const hold: Handlers = {
  begun: () => {
    // Told to the parent, which looks at the memory and ends this process.
    if (--unanswered === 0) console.log('ready');
  },
  done: () => lost('a stream ended'),
  failed: (_connection, _call, reason) => lost(reason),
  ended: () => lost('a connection ended'),
};

const blocks = new Blocks({
  path: job.path,
  authority: 'bench.local',
  constant: job.constant,
  varying: job.varying,
  traced: job.traced,
  sampled: job.sampled,
});
const handlers = { unary, echo, hold }[job.mode];
const connections: Connection[] = [];
for (let n = 0; n < job.connections; n += 50) {
  const some = Math.min(50, job.connections - n);
  connections.push(
    ...(await Promise.all(
      Array.from({ length: some }, () => Connection.open(job.address, blocks, handlers)),
    )),
  );
}

const start = performance.now();
if (job.mode === 'hold') {
  for (const connection of connections) {
    for (let n = 0; n < job.streams; n++) connection.begin(number++, undefined);
  }
  if (unanswered === 0) console.log('ready');
} else if (job.mode === 'echo') {
  for (const connection of connections) {
    for (let n = 0; n < job.streams; n++) {
      const call = number++;
      const stream = connection.begin(call, undefined);
      streamOf.set(call, stream);
      began.set(call, performance.now());
      connection.send(stream, body, false);
    }
  }
} else if (job.rate === 0) {
  for (const connection of connections) for (let n = 0; n < job.streams; n++) begin(connection);
} else {
  const perMs = job.rate / 1_000;
  let sent = 0;
  const timer = setInterval(() => {
    const due = (performance.now() - start) * perMs;
    for (; sent < due && !over; sent++) {
      const connection = connections[sent % connections.length] as Connection;
      // A server that cannot follow gets its delay counted in: these begin when there is room.
      if (connection.calls.size >= job.streams) backlog.push(performance.now());
      else begin(connection);
    }
    if (over) clearInterval(timer);
  }, 1);
}
const timer = setTimeout(() => {
  over = true;
  finished.resolve();
}, job.seconds * 1_000);
await finished.promise;
clearTimeout(timer);
const seconds = (performance.now() - start) / 1_000;
const sorted = latencies.subarray(0, Math.min(ended, latencies.length)).sort();
const at = (share: number): number =>
  1_000 * (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
const countsOf = (all: Float64Array): number[] => {
  const counts = new LatencyCounts();
  for (const ms of all) counts.add(1_000 * ms);
  return counts.counts;
};
const report: Report = {
  calls: ended,
  failed,
  why,
  seconds,
  latencyUs: { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) },
  counts: countsOf(sorted),
};
console.log(JSON.stringify(report));
process.exit(0);
