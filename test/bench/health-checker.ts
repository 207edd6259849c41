/** Checks many servers for a while, and tells what it cost: a process of `health.bench.ts`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import { Detector } from '../../src/core/detector.ts';
import { HEALTH_LIMITS } from '../../src/core/limits.ts';
import { OUTLIER_DEFAULTS } from '../../src/core/outlier.ts';
import { HealthCheckRequest } from '../../src/gen/grpc/health/v1/health.ts';
import { Health } from '../../src/health/health.ts';
import { makeMesh } from '../control/rig.ts';

export interface CheckerResult {
  readonly kind: string;
  readonly servers: number;
  readonly checksPerSecond: number;
  readonly cpuShare: number;
  readonly microsecondsPerCheck: number;
  readonly bytesPerServer: number;
  readonly failed: number;
}

const INTERVAL_MS = 5_000;
const [kind = '', portList = '', countText = '', secondsText = ''] = process.argv.slice(2);
const ports = portList.split(',').map(Number);
const count = Number(countText);
const seconds = Number(secondsText);

/** Starts to check; how many checks there have been, and how many of them failed. */
type Start = () => () => { checks: number; failed: number };

/** Servers are known to the mesh before, so that what is measured is the checking alone. */
const starts: Readonly<Record<string, () => Start>> = {
  heapmesh: () => {
    const mesh = makeMesh();
    for (let n = 0; n < count; n++) {
      // Loopback has many addresses, so that each server has one of its own.
      const address = `127.0.${n >> 8}.${(n & 255) + 1}:${ports[n % ports.length]}`;
      const spec = {
        id: `s${n}`,
        address: address.replace(/^127\.0\.\d+\.\d+/, '127.0.0.1'),
        services: ['*'],
        weight: 1,
        zone: '',
        labels: {},
        maxConcurrency: 0,
        standby: false,
      };
      mesh.registry.propose({ kind: 'claim', source: 'config', spec }, 'bench');
    }
    return () => {
      const detector = new Detector({
        mesh,
        rulesOf: () => ({ outliers: OUTLIER_DEFAULTS, panicBelow: 0.5 }),
        suspicionMs: INTERVAL_MS,
        random: Math.random,
      });
      const health = new Health({
        mesh,
        detector,
        rulesOf: () => ({
          check: 'grpc',
          intervalMs: INTERVAL_MS,
          fastIntervalMs: INTERVAL_MS,
          jitter: 0.1,
          timeoutMs: 1_000,
          unhealthyAfter: 3,
          healthyAfter: 1,
          service: '',
          orca: false,
          orcaIntervalMs: 1_000,
        }),
        parseAddress: text => {
          const [host = '', port] = text.split(':');
          return { host, port: Number(port) };
        },
        random: Math.random,
        onError: error => {
          throw error;
        },
      });
      setInterval(() => {
        detector.look(mesh.now());
        health.look(mesh.now());
      }, HEALTH_LIMITS.lookMs);
      return () => {
        const { serving, alive, failing, dead } = health.counters;
        return { checks: serving + alive + failing + dead, failed: failing + dead };
      };
    };
  },
  'grpc-js': () => () => {
    let checks = 0;
    let failed = 0;
    const request = Buffer.from(HealthCheckRequest.encode({ service: '' }).finish());
    const pass = (octets: Buffer): Buffer => octets;
    for (let n = 0; n < count; n++) {
      const client = new Client(`127.0.0.1:${ports[n % ports.length]}`, credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
      });
      const check = () => {
        setTimeout(check, INTERVAL_MS * (0.9 + 0.2 * Math.random()));
        const deadline = Date.now() + 1_000;
        client.makeUnaryRequest('/grpc.health.v1.Health/Check', pass, pass, request, { deadline }, error => {
          checks++;
          if (error !== null) failed++;
        });
      };
      setTimeout(check, INTERVAL_MS * Math.random());
    }
    return () => ({ checks, failed });
  },
};

const start = starts[kind]?.();
if (start === undefined) throw new Error(`no checker '${kind}'`);
const memory = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().rss;
};
const before = memory();
const counts = start();
// All are connected, and have been checked once.
await sleep(2 * INTERVAL_MS);
const cpu = process.cpuUsage();
const from = performance.now();
const first = counts();
await sleep(seconds * 1_000);
const used = process.cpuUsage(cpu);
const elapsedS = (performance.now() - from) / 1_000;
const last = counts();
const checks = last.checks - first.checks;
const cpuUs = used.user + used.system;
const result: CheckerResult = {
  kind,
  servers: count,
  checksPerSecond: checks / elapsedS,
  cpuShare: cpuUs / 1e6 / elapsedS,
  microsecondsPerCheck: cpuUs / checks,
  bytesPerServer: (memory() - before) / count,
  failed: last.failed,
};
process.send?.(result);
