/**
 * The log in files: how long a start takes for 1,000,000 records, as a multiple of reading the same files and
 * checking their checksums, and how fast changes become durable.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Body, Precondition, Proposal } from '../../src/core/entries.ts';
import { STATE_LIMITS } from '../../src/core/limits.ts';
import { encodeProposal } from '../../src/state/codec.ts';
import { filesIn } from '../../src/state/files.ts';
import { encodeHead, logName, namesAmong, RecordWriter } from '../../src/state/format.ts';
import { openFileLog } from '../../src/state/open.ts';
import { recover } from '../../src/state/recovery.ts';
import { scanFile } from '../../src/state/scan.ts';
import { writeSnapshot } from '../../src/state/snapshot-file.ts';
import { server } from '../core/registry-support.ts';
import { BenchSuite } from './harness.ts';

const RECORDS = Number(process.env.HEAPMESH_BENCH_RECORDS ?? 1_000_000);
const BACKENDS = 10_000;
const FILE_OCTETS = 64 * 2 ** 20;
const ROUNDS = 5;

/** What a log is made of: by the number of an entry its body, its cause, and perhaps a precondition. */
type Mix = (n: number) => readonly [body: Body, cause: string, precondition?: Precondition];

const served = (n: number): string => `served ${10 + (n % 5)} calls in 10.${n % 10} s of warm-up`;

/**
 * Servers that register, warm up, fail, come back, and register again from elsewhere: each entry changes something,
 * and no claim repeats another. Nothing can be left out of it.
 */
const flapping: Mix = n => {
  const id = `backend-7d9c-${n % BACKENDS}`;
  const spec = server(id, {
    address: `10.0.${(n >> 8) & 0xff}.${n & 0xff}:50051`,
    labels: { pod: id },
    zone: 'z1',
  });
  switch (Math.floor(n / BACKENDS) % 4) {
    case 0:
      return [{ kind: 'claim', source: 'stream', spec }, 'registered itself'];
    case 1: {
      const observation = { phase: 'active', healthy: true } as const;
      return [{ kind: 'observe', id, observation }, served(n)];
    }
    case 2: {
      const observation = { phase: 'ejected', healthy: false } as const;
      return [{ kind: 'observe', id, observation }, `the proxy: ${spec.address} refuses connections`];
    }
    default: {
      const observation = { phase: 'warming', healthy: true } as const;
      return [{ kind: 'observe', id, observation }, 'the proxy reaches it again'];
    }
  }
};

/**
 * Servers as instances write of them, under deploys that never end: one registers, is active, connects anew, fails
 * once and comes back, is lost and comes back at another address, connects anew, and leaves; the next one has another
 * name. As many as `BACKENDS` live at once.
 */
const rolling: Mix = n => {
  const life = Math.floor(n / BACKENDS / 12);
  const id = `backend-${life}-${n % BACKENDS}`;
  const step = Math.floor(n / BACKENDS) % 12;
  const host = (life * 2 + Number(step > 6)) & 0xff;
  const address = `10.${host}.${(n % BACKENDS) >> 8}.${(n % BACKENDS) & 0xff}:50051`;
  const spec = server(id, { address, labels: { pod: id }, zone: 'z1' });
  const claim: Body = { kind: 'claim', source: 'stream', spec };
  const observe = (phase: 'active' | 'ejected' | 'warming'): Body => ({
    kind: 'observe',
    id,
    observation: { phase, healthy: phase !== 'ejected' },
  });
  switch (step) {
    case 0:
    case 2:
    case 7:
    case 9:
      return [claim, 'registered itself', { kind: 'address', id, address }];
    case 3:
      return [observe('ejected'), `the proxy: ${address} refuses connections`];
    case 4:
      return [observe('warming'), 'the proxy reaches it again'];
    case 6:
      return [{ kind: 'unclaim', source: 'stream', id, how: 'lost' }, 'its report stream broke off'];
    case 10:
      return [
        { kind: 'drain', id, by: 'backend', timeoutMs: 30_000, afterwards: 'remove' },
        'takes its leave',
      ];
    case 11:
      return [{ kind: 'drained', id }, 'no calls in flight any more'];
    default:
      return [observe('active'), served(n)];
  }
};

/** Where `snapshotAt` is above 0, a snapshot is made there, as a running instance does every 50,000 entries. */
async function writeLog(directory: string, mix: Mix, snapshotAt = 0): Promise<number> {
  const files = filesIn(directory);
  await files.make();
  let chain = 0;
  let octets = 0;
  let n = 0;
  for (let sequence = 1; n < RECORDS; sequence++) {
    const head = encodeHead({
      kind: 'entries',
      sequence,
      first: n + 1,
      chain,
      fresh: false,
      epoch: 1,
      time: 0,
      origin: 'lb-1',
    });
    const file = await files.create(logName(sequence));
    await file.write(head.bytes, 0);
    let at = head.bytes.length;
    const out = new RecordWriter(head.chain);
    while (n < RECORDS && at < FILE_OCTETS && !(n === snapshotAt && at > head.bytes.length)) {
      for (let i = 0; i < 1000 && n < RECORDS; i++) {
        const [body, cause, precondition] = mix(n++);
        const proposal: Proposal = {
          origin: 'lb-1',
          epoch: 1_795_890_617_061,
          n,
          time: 1_795_890_617_061 + n,
          cause,
          ...(precondition === undefined ? {} : { preconditions: [precondition] }),
          body,
        };
        out.add(encodeProposal(proposal), n, 1_795_890_617_061 + n, at);
      }
      await file.write(out.view(), at);
      at += out.length;
      out.reset();
    }
    chain = out.chain;
    octets += at;
    await file.close();
    if (n !== snapshotAt) continue;
    const { snapshot } = await recover(files, { mend: false });
    await writeSnapshot(files, snapshot, [], { sequence, epoch: 1, time: 0, origin: 'lb-1' });
  }
  return octets;
}

interface Cost {
  readonly cpuMs: number;
  readonly wallMs: number;
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMs: (user + system) / 1000, wallMs: performance.now() - start };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] as number;

async function recovery(
  suite: BenchSuite,
  root: string,
  name: string,
  mix: Mix,
  snapshotAt: number,
): Promise<void> {
  const directory = join(root, `${name}-${snapshotAt}`);
  const octets = await writeLog(directory, mix, snapshotAt);
  const files = filesIn(directory);
  const raw: number[] = [];
  const whole: number[] = [];
  const wall: number[] = [];
  const ratios: number[] = [];
  for (let round = -1; round < ROUNDS; round++) {
    const read = await costOf(async () => {
      for (const { name } of namesAmong(await files.list()).logs) await scanFile(files, name, () => {});
    });
    const start = await costOf(() => recover(files, { mend: false }));
    if (round < 0) continue;
    raw.push(read.cpuMs);
    whole.push(start.cpuMs);
    wall.push(start.wallMs);
    ratios.push(start.cpuMs / read.cpuMs);
  }
  const what =
    snapshotAt === 0 ? 'without a snapshot' : `a snapshot ${RECORDS - snapshotAt} entries before the end`;
  const group = `a start with ${RECORDS} records (${(octets / 2 ** 20).toFixed(0)} MiB), ${BACKENDS} backends, ${name}, ${what}`;
  suite.record({ group, name: 'read and check', unit: 'ms CPU', value: median(raw) });
  suite.record({
    group,
    name: 'recover',
    unit: 'ms CPU',
    value: median(whole),
    target: 1_000,
    reached: median(whole) <= 1_000,
    note: `${median(wall).toFixed(0)} ms in all`,
  });
  suite.record({
    group,
    name: 'recover / read and check',
    unit: 'times',
    value: median(ratios),
    target: 3,
    reached: median(ratios) <= 3,
  });
  suite.record({ group, name: 'resident memory', unit: 'MiB', value: process.memoryUsage().rss / 2 ** 20 });
}

async function durability(suite: BenchSuite, root: string): Promise<void> {
  const directory = join(root, 'durability');
  const opened = await openFileLog({
    files: filesIn(directory),
    origin: 'lb-1',
    wallClock: Date.now,
    after: () => () => {},
    historyOctets: 0,
    lock: async () => ({ release: async () => {} }),
    onNote: () => {},
    onError: error => {
      throw error;
    },
  });
  let n = 0;
  const append = (): Promise<number> => {
    const [body, cause] = flapping(n++);
    return opened.log.append({ origin: 'lb-1', epoch: 1, n, time: n, cause, body });
  };
  for (const atOnce of [1, 64, 1024]) {
    const times: number[] = [];
    const start = performance.now();
    let done = 0;
    while (performance.now() - start < 2_000) {
      const before = performance.now();
      await Promise.all(Array.from({ length: atOnce }, append));
      times.push(performance.now() - before);
      done += atOnce;
    }
    const group = `durable changes, ${atOnce} at once`;
    suite.record({
      group,
      name: 'changes',
      unit: 'changes/s',
      value: (done * 1000) / (performance.now() - start),
    });
    suite.record({ group, name: 'time of one, median', unit: 'ms', value: median(times) });
  }
  await opened.close();
}

const suite = new BenchSuite('state');
const root = await mkdtemp(join(tmpdir(), 'heapmesh-bench-'));
try {
  // As an instance leaves it, and what no instance leaves: no snapshot at all.
  for (const [name, mix] of [
    ['servers that flap', flapping],
    ['deploys without end', rolling],
  ] as const) {
    if (!suite.wants('recovery')) break;
    await recovery(suite, root, name, mix, RECORDS - STATE_LIMITS.snapshotEntries);
    await recovery(suite, root, name, mix, 0);
  }
  if (suite.wants('durability')) await durability(suite, root);
} finally {
  await rm(root, { recursive: true, force: true });
}
suite.finish();
