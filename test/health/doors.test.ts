/**
 * Real servers in trouble under load, by each way in: the proxy, `heapmesh://`, and `PickServer` with outcomes. One is
 * slowed to a tenth, one fails each call at once, one is killed, one stands still.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { createPickClient, registerHeapmesh } from '../../src/client/client.ts';
import { startRig, until } from '../proxy/rig.ts';
import { QUICK, type ServerProcess, startServer, untilState, view } from './rig.ts';

const SERVICE = 'test.v1.Test';
const CALLERS = 12;
const SERVICE_MS = 10;
/** What a server in trouble takes for a call, times what it took. */
const SLOWER = 10;
const NAMES = ['a', 'b', 'c', 'd', 'e'] as const;

registerHeapmesh(grpc);

/** Makes one call; resolves with the name of the server that answered. */
type Door = () => Promise<string>;

interface Call {
  readonly start: number;
  readonly ms: number;
  /** Undefined where it failed. */
  readonly server: string | undefined;
  readonly why: string;
}

function client(t: TestContext, target: string): grpc.Client {
  const made = new grpc.Client(target, grpc.credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  t.after(() => made.close());
  return made;
}

function ask(by: grpc.Client): Promise<string> {
  const pass = (octets: Buffer): Buffer => octets;
  return new Promise((resolve, reject) => {
    by.makeUnaryRequest(
      `/${SERVICE}/Call`,
      pass,
      pass,
      Buffer.from('x'),
      new grpc.Metadata(),
      { deadline: Date.now() + 1_000 },
      (error, answer) => (error ? reject(error) : resolve(String(answer))),
    );
  });
}

type Rig = Awaited<ReturnType<typeof startRig>>;

const DOORS: Readonly<Record<string, (t: TestContext, rig: Rig) => Door>> = {
  'the proxy'(t, { addresses }) {
    const by = client(t, addresses.proxy);
    return () => ask(by);
  },
  'heapmesh://'(t, { addresses }) {
    const by = client(t, `heapmesh://${addresses.control}/${SERVICE}`);
    return () => ask(by);
  },
  PickServer(t, { addresses }) {
    const picks = createPickClient({
      balancers: [addresses.control],
      service: SERVICE,
      // A lease lasts until the balancer hears of its end: by default as long again as a call takes here.
      flushMs: 1,
    });
    t.after(() => picks.close());
    const clients = new Map<string, grpc.Client>();
    return () =>
      picks.call(
        ({ address }) => {
          const by = clients.get(address) ?? client(t, address);
          clients.set(address, by);
          return ask(by);
        },
        { attempts: 1 },
      );
  },
};

/** Callers that call one after the other until `stop`. */
function startLoad(door: Door): { readonly calls: Call[]; stop(): Promise<void> } {
  const calls: Call[] = [];
  let going = true;
  const callers = Array.from({ length: CALLERS }, async () => {
    while (going) {
      const start = performance.now();
      const answer = await door().then(
        server => ({ server, why: '' }),
        (error: Error) => ({ server: undefined, why: error.message }),
      );
      calls.push({ start, ms: performance.now() - start, ...answer });
    }
  });
  return {
    calls,
    async stop() {
      going = false;
      await Promise.all(callers);
    },
  };
}

/** One after the other gets into trouble, while calls go on. */
async function inTrouble(
  t: TestContext,
  rig: Rig,
  calls: readonly Call[],
  servers: readonly ServerProcess[],
): Promise<void> {
  const [slowed, failing, killed, stopped] = servers as [
    ServerProcess,
    ServerProcess,
    ServerProcess,
    ServerProcess,
  ];
  const since = (from: number): Call[] => calls.filter(({ start }) => start >= from);
  const failed = (calls: readonly Call[]): Call[] => calls.filter(({ server }) => server === undefined);
  await until(() => new Set(calls.map(each => each.server)).size === NAMES.length, 'all have calls');

  // Slowed: no more than its share by speed, and no call fails.
  await slowed.tell({ serviceMs: SLOWER * SERVICE_MS });
  await sleep(500);
  let from = performance.now();
  await until(() => since(from).length >= 400, 'calls beside the slow one', 30_000);
  const settled = since(from);
  assert.deepEqual(failed(calls), []);
  const slow = settled.filter(({ server }) => server === 'a');
  // With three calls at each of the others one more waits there for less than half of what it takes here: none is due.
  const bySpeed = 1 / SLOWER / (1 / SLOWER + NAMES.length - 1);
  const share = slow.length / settled.length;
  t.diagnostic(`slowed: ${(100 * share).toFixed(1)} %, by speed ${(100 * bySpeed).toFixed(1)} %`);
  assert.ok(share < 1.5 * bySpeed, `${share} of the calls, ${bySpeed} by speed`);

  // Failing at once: it looks idle, and draws no calls.
  from = performance.now();
  await failing.tell({ calls: 'fail' });
  await until(() => since(from).length >= 400, 'calls beside the failing one', 30_000);
  const refused = failed(since(from));
  t.diagnostic(`failing: ${refused.length} of ${since(from).length}`);
  // As many as may be under way before the first failure is heard of, twice.
  assert.ok(refused.length <= 2 * CALLERS, `${refused.length} calls failed`);
  await failing.tell({ calls: 'serve' });

  // Killed: what it had fails, and what comes later does not.
  from = performance.now();
  await killed.kill();
  await untilState(rig, 'c', 'EJECTED');
  const gone = performance.now() + 250;
  await until(() => since(gone).length >= 200, 'calls beside the killed one', 30_000);
  const lost = failed(since(from - 1_000)).filter(({ why }) => !why.includes('told to fail'));
  t.diagnostic(`killed: ${lost.length} failed`);
  assert.deepEqual(failed(since(gone)), []);
  assert.ok(lost.length <= 2 * CALLERS, `${lost.length} calls failed`);

  // Standing still: its connections stay, and its calls end by their deadline until it is out.
  stopped.child.kill('SIGSTOP');
  await untilState(rig, 'd', 'EJECTED');
  const out = performance.now() + 250;
  await until(() => since(out).length >= 200, 'calls beside the stopped one', 30_000);
  assert.deepEqual(failed(since(out)), []);
  stopped.child.kill('SIGCONT');
  await untilState(rig, 'd', 'WARMING');
  assert.notEqual(view(rig, 'a')?.state, 'EJECTED');
}

for (const [name, open] of Object.entries(DOORS)) {
  test(`servers in trouble, by ${name}`, async t => {
    const started = await Promise.all(NAMES.map(each => startServer(t, ['--name', each])));
    await Promise.all(started.map(each => each.tell({ serviceMs: SERVICE_MS })));
    // Their timers are what takes time, so that checks need no hurry.
    const outliers = { baseEjection: '1s', interval: '500ms' };
    const health = { ...QUICK, timeout: '700ms', orca: false, outliers };
    const rig = await startRig(
      t,
      started.map(({ address }) => ({ address, services: [SERVICE] })),
      { health },
    );
    await until(() => rig.health.counters.serving >= 2 * NAMES.length, 'all checked');
    const load = startLoad(open(t, rig));
    try {
      await inTrouble(t, rig, load.calls, started);
    } finally {
      await load.stop();
    }
  });
}
