/** What is measured, a function a group: each returns its rows. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProxyUnderTest, RunningProxy } from '../../support/proxy-under-test.ts';
import { memoryBytes } from '../../support/usage.ts';
import type { Row } from './figures.ts';
import type { Job } from './generator.ts';
import {
  backends,
  Cleanup,
  type Cost,
  echoBackends,
  generate,
  h2load,
  JOB,
  start,
  startNode,
} from './rig.ts';

export interface Options {
  readonly proxies: readonly ProxyUnderTest[];
  readonly rounds: number;
  /** Multiplies the number of calls of each run. */
  readonly scale: number;
  readonly soakSeconds: number;
  readonly say: (line: string) => void;
}

/** Of the size that they have at scale 1: smaller ones need more of them. */
const WARM_ROUNDS = 1;

/** Every proxy does every shape in every round, so that a slow moment meets all alike. */
async function interleaved(
  { rounds, scale, say }: Options,
  running: readonly RunningProxy[],
  group: string,
  shapes: readonly {
    name: string;
    unit: string;
    more?: boolean;
    run: (proxy: RunningProxy) => Promise<number>;
  }[],
): Promise<Row[]> {
  const values = new Map<string, number[]>();
  const failed = new Set<string>();
  // Rounds that do not count: connections to backends, and code that is compiled as it runs.
  for (let round = -Math.max(1, Math.round(WARM_ROUNDS / Math.min(1, scale))); round < rounds; round++) {
    for (const { name, run } of shapes) {
      for (const proxy of running) {
        const key = `${name}\0${proxy.name}`;
        if (failed.has(key)) continue;
        try {
          const value = await run(proxy);
          if (round >= 0) values.set(key, [...(values.get(key) ?? []), value]);
        } catch (error) {
          failed.add(key);
          values.delete(key);
          say(`${name}: ${String(error instanceof Error ? error.message : error).split('\n')[0]}`);
        }
      }
    }
  }
  return shapes.flatMap(({ name, unit, more = false }) =>
    running.flatMap(({ name: proxy }) => {
      const all = values.get(`${name}\0${proxy}`);
      return all === undefined ? [] : [{ group, shape: name, proxy, unit, values: all, more }];
    }),
  );
}

export async function within<T>(work: (cleanup: Cleanup) => Promise<T>): Promise<T> {
  const cleanup = new Cleanup();
  try {
    return await work(cleanup);
  } finally {
    await cleanup.run();
  }
}

export const CPU = 'µs/call';
export const perCall = (cost: Cost): number => cost.perCallUs;

/** A request's body, for h2load. */
function bodyFile(cleanup: Cleanup, message: Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-body-'));
  cleanup.add(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'body');
  writeFileSync(file, message);
  return file;
}

/** Unary calls of h2load, which repeats its headers: connections × streams. */
export function unary(options: Options): Promise<Row[]> {
  return within(async cleanup => {
    const running = await start(cleanup, options.proxies, await backends(cleanup, 2, 95));
    const body = bodyFile(cleanup, Buffer.alloc(5));
    const shape = (connections: number, streams: number, calls: number) => ({
      name: `${connections} × ${streams}`,
      unit: CPU,
      run: async (proxy: RunningProxy) =>
        perCall(h2load(proxy, { calls: Math.round(calls * options.scale), connections, streams, body })),
    });
    const shapes = [shape(4, 50, 40_000), shape(50, 1, 20_000), shape(200, 4, 40_000), shape(1, 1, 4_000)];
    return interleaved(options, running, 'unary calls', shapes);
  });
}

/** 50 connections × 4 streams, 1 KiB up and 4 KiB down. */
const REALISTIC: Partial<Job> = {
  connections: 50,
  streams: 4,
  messageBytes: 1_019,
  answerBytes: 4_096,
  traced: true,
  constant: 12,
};

export function realistic(options: Options): Promise<Row[]> {
  return within(async cleanup => {
    const running = await start(cleanup, options.proxies, await backends(cleanup, 2, 4_091));
    const calls = Math.round(20_000 * options.scale);
    const shapes = [
      { name: 'realistic', job: { ...REALISTIC, calls } },
      { name: 'realistic, 20 varying', job: { ...REALISTIC, calls, constant: 0, varying: 20 } },
    ].map(({ name, job }) => ({
      name,
      unit: CPU,
      run: async (proxy: RunningProxy) => perCall(await generate(proxy, job)),
    }));
    return interleaved(options, running, 'realistic calls', shapes);
  });
}

const MIB = 2 ** 20;

/** Large messages and long streams. */
export function bulk(options: Options): Promise<Row[]> {
  return within(async cleanup => {
    const message = Buffer.alloc(MIB);
    message.writeUInt32BE(MIB - 5, 1);
    const body = bodyFile(cleanup, message);
    const large = await start(cleanup, options.proxies, await backends(cleanup, 2, MIB - 5));
    const small = await start(cleanup, options.proxies, await backends(cleanup, 2, 95));
    const calls = Math.max(20, Math.round(300 * options.scale));
    const perCore = ({ perCallUs }: Cost): number => MIB / perCallUs;
    const load = { calls, connections: 4, streams: 4 };
    const ask = bodyFile(cleanup, Buffer.alloc(5));
    const messages = [
      ...(await interleaved(options, large, 'bytes a second per core', [
        {
          name: '1 MiB down',
          unit: 'MB/s',
          more: true,
          run: async proxy => perCore(h2load(proxy, { ...load, body: ask })),
        },
      ])),
      ...(await interleaved(options, small, 'bytes a second per core', [
        {
          name: '1 MiB up',
          unit: 'MB/s',
          more: true,
          run: async proxy => perCore(h2load(proxy, { ...load, body })),
        },
      ])),
    ];
    const echo = await start(cleanup, options.proxies, await echoBackends(cleanup, 2));
    const job = {
      path: '/bench.v1.Bench/Echo',
      mode: 'echo',
      messageBytes: 1_019,
      calls: Math.round(30_000 * options.scale),
    } as const;
    const streams = await interleaved(options, echo, 'long streams', [
      {
        name: '200 streams, 1 KiB there and back',
        unit: 'µs/message',
        run: async proxy => perCall(await generate(proxy, job)),
      },
    ]);
    return [...messages, ...streams];
  });
}

/** An open loop at half of HAProxy's peak of this machine on this day. */
export function latency(options: Options): Promise<Row[]> {
  return within(async cleanup => {
    const running = await start(cleanup, options.proxies, await backends(cleanup, 2, 95));
    const haproxy = running.find(({ name }) => name === 'haproxy') ?? running[0];
    if (haproxy === undefined) return [];
    const shape = { connections: 50, streams: 100, answerBytes: 100, traced: true, constant: 4 };
    const peak: number[] = [];
    for (let n = 0; n < 3; n++) {
      // All of them, though one figure counts: no proxy is to compile its code, or find its backends, at that rate.
      for (const proxy of running) {
        const { callsPerSecond } = await generate(proxy, {
          ...shape,
          streams: 4,
          calls: Math.round(20_000 * options.scale),
        });
        if (proxy === haproxy) peak.push(callsPerSecond);
      }
    }
    const rate = Math.round(Math.max(...peak) / 2);
    options.say(`latency: ${rate} calls a second, half of the peak of ${haproxy.name}`);
    const costs = new Map<string, NonNullable<Cost['latencyUs']>[]>();
    const failed = new Set<string>();
    for (let round = -1; round < options.rounds; round++) {
      for (const proxy of running.filter(({ name }) => !failed.has(name))) {
        try {
          const seconds = Math.max(1, 3 * options.scale);
          const cost = await generate(proxy, {
            ...shape,
            rate,
            calls: Math.round(rate * seconds),
            seconds: 4 * seconds,
          });
          if (round >= 0 && cost.latencyUs !== undefined) {
            costs.set(proxy.name, [...(costs.get(proxy.name) ?? []), cost.latencyUs]);
          }
        } catch (error) {
          failed.add(proxy.name);
          costs.delete(proxy.name);
          options.say(`latency: ${String(error instanceof Error ? error.message : error)}`);
        }
      }
    }
    return (['p50', 'p99'] as const).flatMap(share =>
      [...costs].map(([proxy, all]) => ({
        group: 'latency',
        shape: share,
        proxy,
        unit: 'µs',
        values: all.map(each => each[share]),
      })),
    );
  });
}

/**
 * What connections and streams that do nothing hold, above what the proxy has after some calls, and all that its
 * process has then. One proxy after the other: 20,000 files each.
 */
export function memory(options: Options): Promise<Row[]> {
  const MANY = Math.round(10_000 * Math.min(1, options.scale));
  const measure = async (shape: string, job: Partial<Job>): Promise<Row[]> => {
    const rows: Row[] = [];
    for (const proxy of options.proxies) {
      await within(async cleanup => {
        const addresses = await echoBackends(cleanup, 2);
        const [running] = await start(cleanup, [proxy], addresses, {
          maxConnections: MANY + 100,
          maxConcurrentStreams: 200,
        });
        if (running === undefined) return;
        try {
          await generate(running, {
            mode: 'echo',
            connections: 4,
            streams: 4,
            calls: 5_000,
            messageBytes: 100,
          });
          await sleep(500);
          const before = memoryBytes(running.pid).now;
          const whole = { ...JOB, seconds: 60, ...job, address: running.address };
          const { program } = await startNode('./generator.ts', [JSON.stringify(whole)]);
          cleanup.add(() => program.stop(200));
          const end = await Promise.race([program.ended, sleep(2_000, 'held')]);
          if (end !== 'held') throw new Error(program.printed());
          const all = memoryBytes(running.pid).now;
          const row = { group: 'memory', proxy: proxy.name, unit: 'MiB' };
          rows.push({ ...row, shape, values: [(all - before) / MIB] });
          rows.push({ ...row, shape: `${shape}, whole process`, values: [all / MIB] });
        } catch (error) {
          options.say(`${shape}: ${proxy.name}: ${String(error).split('\n')[0]}`);
        }
      });
    }
    return rows;
  };
  // Without `grpc-timeout`: a proxy that keeps deadlines would end what is to stay open.
  const hold = { mode: 'hold', path: '/bench.v1.Bench/Echo', constant: 4 } as const;
  return (async () => [
    ...(await measure(`${MANY} idle connections`, { ...hold, connections: MANY, streams: 0 })),
    ...(await measure(`${MANY} open streams`, { ...hold, connections: MANY / 100, streams: 100 })),
  ])();
}

/** The realistic shape for long: what memory does after the first third. */
export function soak(options: Options): Promise<Row[]> {
  return within(async cleanup => {
    const running = await start(cleanup, options.proxies, await backends(cleanup, 2, 4_091));
    const rows: Row[] = [];
    for (const proxy of running) {
      const samples: number[] = [];
      const timer = setInterval(() => samples.push(memoryBytes(proxy.pid).now / MIB), 500);
      try {
        await generate(proxy, { ...REALISTIC, calls: Number.MAX_SAFE_INTEGER, seconds: options.soakSeconds });
      } catch (error) {
        options.say(`soak: ${String(error)}`);
      }
      clearInterval(timer);
      const third = Math.floor(samples.length / 3);
      const mean = (part: readonly number[]): number =>
        part.reduce((sum, each) => sum + each, 0) / part.length;
      const grown = mean(samples.slice(2 * third)) - mean(samples.slice(third, 2 * third));
      rows.push({
        group: 'soak',
        shape: `memory, growth over a third of ${options.soakSeconds} s`,
        proxy: proxy.name,
        unit: 'MiB',
        values: [grown],
      });
    }
    return rows;
  });
}
