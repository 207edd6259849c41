/**
 * What metrics cost: what counting adds to a call, and what a scrape of 1,000 backends takes: its time from outside,
 * the processor time in it, and the longest that it holds calls up at a time. The balancer is a process of its own,
 * and each of its backends has had calls.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LeaseKind } from '../../src/core/load-table.ts';
import { Status } from '../../src/grpc/status.ts';
import { CallFacts, EndedBy } from '../../src/proxy/call-facts.ts';
import type { Call } from '../../src/proxy/proxy.ts';
import { Attempts } from '../../src/telemetry/metrics/attempts.ts';
import { CallCounter } from '../../src/telemetry/metrics/call-counter.ts';
import { serve } from '../cli/process.ts';
import { Rig, SERVICE, spec } from '../core/rig.ts';
import { connectCaller, request } from '../support/h2/caller.ts';
import { startUpstream } from '../support/h2/upstream.ts';
import { generator } from '../support/seed.ts';
import { BenchSuite } from './harness.ts';

const BACKENDS = 1_000;
const CALLS = 16_384;
const SCRAPES = 30;

const suite = new BenchSuite('metrics');

/** Calls as the proxy tells of them, over that many backends. */
function counting(backends: number): () => number {
  const rig = new Rig();
  for (let n = 0; n < backends; n++) rig.addWarm(spec(`server-${n}`));
  const counter = new CallCounter(new Attempts(rig.mesh), () => rig.now);
  const random = generator(1);
  const calls = Array.from({ length: 1_024 }, (_, index) => {
    const facts = new CallFacts();
    facts.endedBy = EndedBy.BACKEND;
    facts.sends = 1;
    return {
      index,
      pool: rig.pool,
      slot: Math.floor(random() * backends),
      path: `/${SERVICE}/Method${index % 8}`,
      attempts: 1,
      received: 0,
      sentAt: 0,
      facts,
    };
  });
  return () => {
    for (let n = 0; n < CALLS; n++) {
      const one = calls[n & 1_023] as (typeof calls)[number];
      const call = one as unknown as Call;
      counter.began(call);
      counter.attemptBegan(call);
      one.facts.leftAt = one.facts.endedAt = (n & 63) / 4;
      counter.attemptEnded(call, Status.OK);
      counter.ended(call, Status.OK);
    }
    return counter.without;
  };
}

/** What it is beside: the pick and the completion of the same calls. */
function picking(backends: number): () => number {
  const rig = new Rig();
  for (let n = 0; n < backends; n++) rig.addWarm(spec(`server-${n}`));
  const { mesh, pool } = rig;
  return () => {
    for (let n = 0; n < CALLS; n++)
      mesh.leases.complete(pool.pick(rig.now, LeaseKind.RELAYED), rig.now, 0, 15);
    return mesh.leases.open;
  };
}

for (const backends of [10, BACKENDS]) {
  await suite.compare(`a call over ${backends.toLocaleString('en')} backends`, [
    { name: 'counting it', unit: 'call', operations: CALLS, run: counting(backends) },
    { name: 'its pick and completion', unit: 'call', operations: CALLS, run: picking(backends) },
  ]);
}

if (suite.wants('scrape')) await scrapes();
suite.finish();

async function scrapes(): Promise<void> {
  const upstream = await startUpstream({
    onConnection: peer => {
      peer.keep = false;
      return undefined;
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-bench-'));
  const file = join(folder, 'config.yaml');
  const servers = Array.from({ length: BACKENDS }, (_, n) => ({
    id: `server-${n}`,
    address: upstream.address,
    services: [SERVICE],
  }));
  writeFileSync(file, JSON.stringify({ servers }));
  const balancer = await serve(['--config', file]);
  try {
    const caller = await connectCaller(balancer.proxy, { connectionWindow: 1 << 30 });
    caller.keep = false;
    for (let n = 0; n < 60; n++) {
      await Promise.all(Array.from({ length: 50 }, () => caller.call(request(`/${SERVICE}/Echo`))));
    }
    const times: number[] = [];
    const took: number[] = [];
    const slices: number[] = [];
    let bytes = 0;
    let attempts = 0;
    for (let n = 0; n < SCRAPES; n++) {
      const start = performance.now();
      const answer = await fetch(`http://${balancer.admin}/metrics`);
      const text = await answer.text();
      times.push(performance.now() - start);
      // Of the scrape before.
      const value = (name: string): number => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
      if (n > 0) took.push(1000 * value('heapmesh_scrape_duration_seconds'));
      if (n > 0) slices.push(1000 * value('heapmesh_scrape_longest_slice_seconds'));
      bytes = text.length;
      attempts = text.split('\nheapmesh_attempt_duration_seconds_count').length - 1;
    }
    const say = (name: string, values: readonly number[], target?: number): void => {
      const sorted = values.toSorted((a, b) => a - b);
      const value = sorted[sorted.length >> 1] as number;
      suite.record({
        group: `scrape of ${BACKENDS} backends, ${attempts} of them with attempts, ${(bytes / 1e6).toFixed(1)} MB`,
        name,
        unit: 'ms',
        value,
        best: sorted[0] as number,
        worst: sorted.at(-1) as number,
        ...(target === undefined ? {} : { target, reached: value < target }),
      });
    };
    say('from outside, the text read', times, 50);
    say('at work in it', took, 50);
    say('longest that it held calls up', slices, 10);
    caller.socket.destroy();
  } finally {
    await balancer.stop();
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
