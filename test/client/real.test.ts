/** The SDK, the balancer and backends together, as users run them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { createPickClient, type PickClient, registerHeapmesh } from 'heapmesh/client';
import { type Balancer, spawnBackend, startBalancer, startReporting } from './rig.ts';
import { eventually, SERVICE, Stack, spread, talk, who } from './support.ts';

registerHeapmesh(grpc);

describe('the SDK of callers with a real balancer', () => {
  let stack: Stack;
  let lb: Balancer;

  beforeEach(async () => {
    stack = new Stack();
    lb = await startBalancer(stack);
  });
  afterEach(() => stack.end());

  const target = (...balancers: Balancer[]) =>
    `heapmesh://${balancers.map(one => one.address).join(',')}/${SERVICE}?min_interval_ms=100`;

  function picker(...balancers: Balancer[]): PickClient {
    const options = { balancers: balancers.map(one => one.address), service: SERVICE };
    return stack.add(createPickClient(options), one => one.close());
  }

  async function allAnswer(client: grpc.Client, count: number): Promise<void> {
    await eventually(async () => (await spread(client, 4 * count, 4)).size === count, 'all backends answer');
  }

  /** A client of a backend's own address, for calls that a pick has placed. */
  const direct = new Map<string, grpc.Client>();
  function at(address: string): grpc.Client {
    let client = direct.get(address);
    if (client === undefined) {
      client = stack.client(address);
      direct.set(address, client);
    }
    return client;
  }

  it('gives a fast backend more calls than a slow one, through a channel and by picks', async () => {
    const { backend: fast } = await startReporting(stack, 'fast', [lb.address]);
    const { backend: slow } = await startReporting(stack, 'slow', [lb.address]);
    fast.delayMs = 5;
    slow.delayMs = 50;
    const client = stack.client(target(lb));
    await allAnswer(client, 2);
    const channel = await spread(client, 300, 12);
    assert.ok((channel.get('fast') ?? 0) > 2 * (channel.get('slow') ?? 0), String([...channel]));
    const picks = picker(lb);
    const asked = new Map<string, number>();
    let left = 200;
    const worker = async () => {
      while (left-- > 0) {
        const id = await picks.call(server => who(at(server.address)));
        asked.set(id, (asked.get(id) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 12 }, worker));
    assert.ok((asked.get('fast') ?? 0) > 2 * (asked.get('slow') ?? 0), String([...asked]));
    await picks.close();
    const { accepted, unknown, foreign } = picks.stats();
    assert.deepEqual({ accepted, unknown, foreign }, { accepted: 200, unknown: 0, foreign: 0 });
    assert.equal(lb.mesh.leases.open, 0);
  });

  it('sees calls of others by what backends report', async () => {
    await startReporting(stack, 'a', [lb.address], { applicationUtilization: () => 0.5 });
    await startReporting(stack, 'b', [lb.address], { applicationUtilization: () => 0.5 });
    const client = stack.client(target(lb));
    await allAnswer(client, 2);
    const address = [...lb.mesh.registry.list()].find(one => one.spec.id === 'a')?.spec.address ?? '';
    const streams = [];
    for (let i = 0; i < 20; i++) streams.push(await talk(at(address)));
    // One after the other: both are new, and a new one at its cap passes the next call on.
    await eventually(async () => !(await spread(client, 20)).has('a'), 'a is known to be busy');
    for (const { call } of streams) call.cancel();
    // At once: one call after the other would all find b idle, and what is remembered of a fades slowly.
    await eventually(async () => (await spread(client, 40, 8)).has('a'), 'a is known to be free');
  });

  it('lets a new backend in, and one that drains out, without a failed call', async () => {
    const { reporter } = await startReporting(stack, 'a', [lb.address], { settleMs: 50 });
    const client = stack.client(target(lb));
    const picks = picker(lb);
    let over = false;
    const answered = new Set<string>();
    const load = async (call: () => Promise<string>) => {
      while (!over) answered.add(await call());
    };
    const loads = [
      load(() => who(client)),
      load(() => who(client)),
      load(() => picks.call(s => who(at(s.address)))),
    ];
    await startReporting(stack, 'b', [lb.address]);
    await eventually(() => answered.has('b'), 'b answers');
    const { clean } = await reporter.drain({ timeoutMs: 5_000 });
    assert.equal(clean, true);
    answered.clear();
    await eventually(() => answered.has('b'), 'b answers on');
    over = true;
    await Promise.all(loads);
    assert.ok(!answered.has('a'));
  });

  it('fails no call that begins 250 ms after a backend was killed', async () => {
    const children = await Promise.all(['a', 'b', 'c'].map(id => spawnBackend(stack, id, [lb.address])));
    const client = stack.client(target(lb));
    const picks = picker(lb);
    await allAnswer(client, 3);
    let over = false;
    const failures: { begun: number; error: unknown }[] = [];
    let calls = 0;
    const load = async (call: () => Promise<unknown>) => {
      while (!over) {
        const begun = performance.now();
        await call().catch(error => failures.push({ begun, error }));
        calls++;
      }
    };
    const ask = async () => {
      const { server, lease } = await picks.pick();
      try {
        await who(at(server.address));
        lease.complete();
      } catch (error) {
        lease.complete({ status: (error as grpc.ServiceError).code });
        throw error;
      }
    };
    const loads = [load(() => who(client)), load(() => who(client)), load(ask), load(ask)];
    await eventually(() => calls > 200, 'calls flow');
    const exit = once(children[0] as NonNullable<(typeof children)[0]>, 'exit');
    children[0]?.kill('SIGKILL');
    await exit;
    const killed = performance.now();
    await new Promise(resolve => setTimeout(resolve, 250));
    const before = calls;
    await eventually(() => calls > before + 500, 'calls flow on');
    over = true;
    await Promise.all(loads);
    const late = failures.filter(one => one.begun > killed + 250);
    assert.deepEqual(late, []);
  });

  it('goes on while its balancer is gone, and takes news from the one that comes back', async () => {
    await startReporting(stack, 'a', [lb.address]);
    await startReporting(stack, 'b', [lb.address]);
    const client = stack.client(target(lb));
    await allAnswer(client, 2);
    await lb.kill();
    for (let i = 0; i < 5; i++) assert.equal((await spread(client, 20, 4)).size, 2);
    const back = await startBalancer(stack, { port: lb.port });
    await startReporting(stack, 'c', [back.address]);
    await allAnswer(client, 3);
  });

  it('fails over from one balancer to another: channels and picks', async () => {
    const other = await startBalancer(stack, { id: 'lb-2' });
    const both = [lb.address, other.address];
    await startReporting(stack, 'a', both);
    await startReporting(stack, 'b', both);
    const client = stack.client(target(lb, other));
    const picks = picker(lb, other);
    await allAnswer(client, 2);
    const { instanceId, lease } = await picks.pick();
    lease.complete();
    const watched = lb.control.gauges().watches === 1 ? lb : other;
    const picked = instanceId === 'lb-1' ? lb : other;
    await watched.kill();
    await picked.kill();
    const left = watched === picked ? (watched === lb ? other : lb) : undefined;
    if (left === undefined) {
      // Each was used by one of the two: both are gone, and the channel goes on with what it knows.
      assert.equal((await spread(client, 20, 4)).size, 2);
      await assert.rejects(picks.pick({ timeoutMs: 300 }), { code: 'unavailable' });
      return;
    }
    await startReporting(stack, 'c', [left.address]);
    await allAnswer(client, 3);
    assert.equal((await picks.pick()).instanceId, left === lb ? 'lb-1' : 'lb-2');
  });

  it('counts itself among the balancers that share out newcomers', async () => {
    await startReporting(stack, 'a', [lb.address]);
    const { sharedTable } = await import('../../src/client/table.ts');
    const { table, giveBack } = sharedTable([lb.address]);
    try {
      const client = stack.client(target(lb));
      await who(client);
      await eventually(() => table.balancers === 2, 'this caller and the balancer');
    } finally {
      giveBack();
    }
  });

  it('renews the lease of a long call, which counts until it is completed', async () => {
    const short = await startBalancer(stack, { id: 'lb-2', leaseTtlMs: 800 });
    await startReporting(stack, 'a', [short.address]);
    const picks = picker(short);
    const { lease } = await picks.pick();
    await eventually(() => short.control.counters.outcomesAccepted >= 4, 'four renewals');
    assert.equal(short.mesh.leases.open, 1);
    assert.equal(short.mesh.leases.expired, 0);
    lease.complete();
    await eventually(() => short.mesh.leases.open === 0, 'the lease is over');
    await picks.close();
    const { unknown, sent, accepted } = picks.stats();
    assert.equal(unknown, 0);
    assert.equal(sent, accepted);
  });

  it('says what the balancer says of an unknown service', async () => {
    const client = stack.client(`heapmesh://${lb.address}/un.known.Service`);
    await assert.rejects(who(client), { code: grpc.status.UNAVAILABLE, details: /un\.known\.Service/ });
    const picks = createPickClient({ balancers: [lb.address], service: 'un.known.Service' });
    await assert.rejects(picks.pick(), { code: 'not-found' });
    await picks.close();
  });
});
