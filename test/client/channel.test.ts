/** `heapmesh://` channels against a balancer that says what the test tells it to. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { registerHeapmesh } from 'heapmesh/client';
import { ChannelCredentials, createChannel, createClientFactory } from 'nice-grpc';
import { sharedTable } from '../../src/client/table.ts';
import { ServerState } from '../../src/gen/heapmesh/v1/server.ts';
import { durationOf } from '../../src/grpc/duration.ts';
import {
  type Backend,
  ECHO,
  eventually,
  loadOf,
  type ScriptedBalancer,
  SERVICE,
  Stack,
  spread,
  talk,
  who,
} from './support.ts';

registerHeapmesh(grpc);

const { UNAVAILABLE, DEADLINE_EXCEEDED } = grpc.status;
type Stream = grpc.ClientDuplexStream<Buffer, Buffer>;

describe('a heapmesh:// channel', () => {
  let stack: Stack;
  let lb: ScriptedBalancer;
  let a: Backend;
  let b: Backend;

  beforeEach(async () => {
    stack = new Stack();
    lb = await stack.balancer();
    a = await stack.backend('a');
    b = await stack.backend('b');
    lb.first = { upserted: [a.entry(), b.entry()] };
  });
  afterEach(() => stack.end());

  /** A channel whose connections to both backends stand. */
  async function connected(options: grpc.ChannelOptions = {}, target = lb.target()): Promise<grpc.Client> {
    const client = stack.client(target, options);
    await eventually(async () => {
      const seen = await Promise.all([who(client), who(client), who(client)]);
      return new Set(seen).size === 2;
    }, 'both backends answer');
    return client;
  }

  it('spreads calls over the servers that the balancer names, under the service as authority', async () => {
    const client = await connected();
    const counts = await spread(client, 60, 6);
    assert.ok((counts.get('a') ?? 0) > 15 && (counts.get('b') ?? 0) > 15, String([...counts]));
    assert.equal(a.hosts.at(-1), SERVICE);
    assert.deepEqual(
      lb.requests.map(({ service, zone, maxServers }) => ({ service, zone, maxServers })),
      [{ service: SERVICE, zone: '', maxServers: 0 }],
    );
  });

  it('takes another authority, and its options from the query or the channel', async () => {
    const query = '?zone=z1&max_servers=7&client_id=me&min_interval_ms=250';
    const client = stack.client(lb.target(query), {
      'grpc.default_authority': 'other',
      'heapmesh.max_servers': 3,
    });
    const id = await who(client);
    assert.equal((id === 'a' ? a : b).hosts.at(-1), 'other');
    const [request] = lb.requests;
    assert.equal(request?.zone, 'z1');
    assert.equal(request?.maxServers, 3);
    assert.equal(request?.clientId, 'me');
    assert.deepEqual(request?.minInterval, durationOf(250));
  });

  it('follows reported load that is not its own', async () => {
    const client = await connected();
    const fields = { capacity: 100, utilization: 0.9, interval: durationOf(60_000) };
    lb.send({
      loads: [
        loadOf('a', { ...fields, sequence: 2n, inFlight: 40, others: 40 }),
        loadOf('b', { ...fields, sequence: 2n, inFlight: 0, utilization: 0.1, others: 0 }),
      ],
    });
    await eventually(async () => {
      const counts = await spread(client, 20, 2);
      return counts.get('a') === undefined;
    }, 'nothing goes to the loaded one');
  });

  it('gives a server of four times the capacity about four times the calls', async () => {
    const client = await connected();
    const fields = { sequence: 2n, interval: durationOf(60_000), utilization: 0.5 };
    lb.send({
      loads: [loadOf('a', { ...fields, capacity: 400 }), loadOf('b', { ...fields, capacity: 100 })],
    });
    a.delayMs = b.delayMs = 5;
    const peaks = async () => {
      a.peak = b.peak = 0;
      await spread(client, 150, 30);
      return a.peak / Math.max(1, b.peak);
    };
    await eventually(async () => (await peaks()) > 2.2, 'in flight by capacity');
  });

  it('drops a server whose connection is lost at once, without a word of the balancer', async () => {
    const client = await connected();
    a.kill();
    await new Promise(resolve => setTimeout(resolve, 250));
    assert.deepEqual([...(await spread(client, 50, 5)).keys()], ['b']);
  });

  it('comes back to a server that is back at the same address', async () => {
    const client = await connected({
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 50,
    });
    a.kill();
    await eventually(async () => (await spread(client, 10)).size === 1, 'a is gone');
    await stack.backend('a', a.port);
    await eventually(async () => (await spread(client, 10, 4)).size === 2, 'a is back');
  });

  for (const [name, state] of [
    ['draining', ServerState.SERVER_STATE_DRAINING],
    ['ejected', ServerState.SERVER_STATE_EJECTED],
    ['standby', ServerState.SERVER_STATE_STANDBY],
    ['in a state that it does not know', 99 as ServerState],
  ] as const) {
    it(`calls no server that is ${name}, and keeps the streams there`, async () => {
      const client = await connected();
      let stream = await talk(client);
      while (stream.id !== 'a') stream = await talk(client);
      lb.send({ upserted: [a.entry({ state })] });
      await eventually(async () => !(await spread(client, 10, 3)).has('a'), 'no call to a');
      assert.deepEqual([...(await spread(client, 60, 6)).keys()], ['b']);
      const answered = once(stream.call, 'status');
      stream.call.end();
      stream.call.resume();
      const [status] = (await answered) as [grpc.StatusObject];
      assert.equal(status.code, grpc.status.OK);
      lb.send({ upserted: [a.entry()] });
      await eventually(async () => (await spread(client, 10, 4)).has('a'), 'a again');
    });
  }

  it('calls a removed server no more, and lets its streams end', async () => {
    const client = await connected();
    let stream = await talk(client);
    while (stream.id !== 'a') stream = await talk(client);
    lb.send({ removedIds: ['a'] });
    await eventually(async () => !(await spread(client, 10, 3)).has('a'), 'no call to a');
    const answered = once(stream.call, 'status');
    stream.call.end();
    stream.call.resume();
    const [status] = (await answered) as [grpc.StatusObject];
    assert.equal(status.code, grpc.status.OK);
  });

  it('goes to the new address of a server that moved', async () => {
    const client = await connected();
    const moved = await stack.backend('c');
    lb.send({ upserted: [a.entry({ address: moved.address })] });
    await eventually(async () => (await spread(client, 10, 4)).has('c'), 'the new address');
    assert.ok(!(await spread(client, 20, 4)).has('a'));
  });

  /** Streams of `client` that are open on b and not on a. */
  async function streamsOnB(client: grpc.Client): Promise<Stream[]> {
    const onA: Stream[] = [];
    const calls: Stream[] = [];
    while (calls.length < 3) {
      const { call, id } = await talk(client);
      (id === 'b' ? calls : onA).push(call);
    }
    for (const call of onA) call.cancel();
    await eventually(() => a.talks.size === 0, 'streams of a end');
    return calls;
  }

  it('counts a stream as a call in flight until it ends', async () => {
    const client = await connected();
    const streams = await streamsOnB(client);
    await eventually(async () => !(await spread(client, 20)).has('b'), 'b is busy');
    for (const call of streams) call.cancel();
    await eventually(async () => (await spread(client, 20)).has('b'), 'b is free');
  });

  it('avoids a server that fails calls', async () => {
    const client = await connected();
    a.handler = (_call, done) => done({ code: UNAVAILABLE, details: 'broken' });
    let failed = 0;
    for (let i = 0; i < 100; i++) await who(client).catch(() => failed++);
    assert.ok(failed >= 1 && failed <= 20, `${failed} of 100 failed`);
  });

  it('sends calls with one key to one server, and strips what is meant for the balancer', async () => {
    const client = await connected();
    for (const key of ['k1', 'k2', 'k3']) {
      const metadata = new grpc.Metadata();
      metadata.set('heapmesh-hash-key', key);
      metadata.set('heapmesh-zone', 'z');
      metadata.set('kept', 'yes');
      const ids = new Set<string>();
      for (let i = 0; i < 8; i++) ids.add(await who(client, { metadata }));
      assert.equal(ids.size, 1, key);
      const seen = (ids.has('a') ? a : b).seen.at(-1);
      assert.deepEqual(seen?.get('heapmesh-hash-key'), []);
      assert.deepEqual(seen?.get('heapmesh-zone'), []);
      assert.deepEqual(seen?.get('kept'), ['yes']);
    }
  });

  it('prefers its zone', async () => {
    lb.first = { upserted: [a.entry({ zone: 'z1' }), b.entry({ zone: 'z2' })] };
    const client = await connected({}, lb.target());
    const zoned = stack.client(lb.target('?zone=z2'));
    await eventually(async () => (await who(zoned)) === 'b', 'the first answer');
    assert.deepEqual([...(await spread(zoned, 30))], [['b', 30]]);
    await eventually(async () => (await spread(client, 20, 4)).size === 2, 'others use both');
  });

  it('waits while it connects, and for the list', async () => {
    lb.first = undefined;
    const client = stack.client(lb.target());
    const answer = who(client);
    await lb.until(() => lb.watches.size === 1);
    lb.send({ snapshot: true, upserted: [a.entry()] });
    assert.equal(await answer, 'a');
  });

  it('fails calls with the numbers where no server takes calls', async () => {
    const client = await connected();
    lb.send({
      upserted: [
        a.entry({ state: ServerState.SERVER_STATE_DRAINING }),
        b.entry({ state: ServerState.SERVER_STATE_EJECTED }),
      ],
    });
    await eventually(async () => {
      const error = await who(client).then(
        () => undefined,
        caught => caught as grpc.ServiceError,
      );
      if (error === undefined) return false;
      assert.equal(error.code, UNAVAILABLE);
      assert.match(
        error.details,
        /none of the 2 servers of echo\.v1\.EchoService takes calls: 1 draining, 1 ejected/,
      );
      return true;
    }, 'a failure');
  });

  it('names the reason where servers cannot be reached, and where there are none', async () => {
    lb.first = { upserted: [a.entry()] };
    a.kill();
    const client = stack.client(lb.target());
    await assert.rejects(who(client), { code: UNAVAILABLE, details: /1 not reachable \(.*ECONNREFUSED/ });
    lb.send({ removedIds: ['a'] });
    await eventually(
      () =>
        who(client).then(
          () => false,
          error => /no servers of echo\.v1\.EchoService/.test(error.details),
        ),
      'an empty list',
    );
  });

  it('lets calls that wait for readiness wait', async () => {
    lb.first = { upserted: [] };
    const client = stack.client(lb.target());
    const metadata = new grpc.Metadata({ waitForReady: true });
    const answer = who(client, { metadata });
    await assert.rejects(who(client), { code: UNAVAILABLE });
    lb.send({ upserted: [b.entry()] });
    assert.equal(await answer, 'b');
  });

  it('keeps to max_concurrency, and lets waiting calls in when others end', async () => {
    lb.first = { upserted: [a.entry({ maxConcurrency: 2 })] };
    const client = stack.client(lb.target());
    const first = await talk(client);
    const second = await talk(client);
    await assert.rejects(who(client), { code: UNAVAILABLE, details: /at their limit/ });
    const waiting = who(client, { metadata: new grpc.Metadata({ waitForReady: true }) });
    await assert.rejects(
      who(client, { deadline: Date.now() + 50, metadata: new grpc.Metadata({ waitForReady: true }) }),
      {
        code: DEADLINE_EXCEEDED,
      },
    );
    first.call.end();
    first.call.resume();
    assert.equal(await waiting, 'a');
    second.call.cancel();
  });

  it('keeps the last list while the balancer is gone, and catches up with the one that comes back', async () => {
    const client = await connected();
    lb.kill();
    await eventually(async () => (await spread(client, 20, 4)).size === 2, 'both are used on');
    const c = await stack.backend('c');
    await stack.balancer('lb-1', lb.port, { upserted: [b.entry(), c.entry()] });
    await eventually(async () => (await spread(client, 20, 4)).has('c'), 'the new list');
  });

  it('does without a server that a new list does not name once its connection ends', async () => {
    const client = await connected();
    lb.kill();
    const back = await stack.balancer('lb-1', lb.port, { upserted: [b.entry()] });
    await back.until(() => back.watches.size === 1);
    // A balancer that was restarted may not know all yet, so a standing connection is used on.
    await eventually(async () => (await spread(client, 20, 4)).size === 2, 'both are used on');
    a.kill();
    await eventually(async () => (await spread(client, 10, 2)).size === 1, 'only b');
    await stack.backend('a', a.port);
    assert.deepEqual([...(await spread(client, 40, 4)).keys()], ['b']);
  });

  it('fails over to another balancer, and round again', async () => {
    const other = await stack.balancer('lb-2');
    const c = await stack.backend('c');
    other.first = lb.first = { upserted: [a.entry(), b.entry()] };
    const target = `heapmesh://${lb.address},${other.address}/${SERVICE}`;
    const client = await connected({}, target);
    const [present, next] = lb.watches.size === 1 ? [lb, other] : [other, lb];
    assert.equal(next.watches.size, 0);
    present.kill();
    await next.until(() => next.watches.size === 1);
    next.send({ upserted: [c.entry()] });
    await eventually(async () => (await spread(client, 12, 4)).has('c'), 'news from the other');
    const back = await stack.balancer('lb-1', present.port, { upserted: [a.entry()] });
    next.kill();
    await back.until(() => back.watches.size === 1);
  });

  it('passes over a balancer that accepts connections and says nothing', async () => {
    const sockets = new Set<Socket>();
    const mute = createServer(socket => {
      sockets.add(socket);
      socket.on('error', () => {});
    });
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    stack.add(mute, server => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const { port } = mute.address() as { port: number };
    const { random } = Math;
    // A caller begins at a random balancer: here, at the first.
    Math.random = () => 0;
    try {
      const client = stack.client(`heapmesh://127.0.0.1:${port},${lb.address}/${SERVICE}`);
      assert.match(await who(client, { deadline: Date.now() + 9_000 }), /[ab]/);
    } finally {
      Math.random = random;
    }
    assert.equal(sockets.size, 1);
  });

  it('says at once why there is no list', async () => {
    const { address } = lb;
    lb.kill();
    const client = stack.client(`heapmesh://${address}/${SERVICE}`);
    await assert.rejects(who(client), {
      code: UNAVAILABLE,
      details: /no list of the servers of .*ECONNREFUSED/,
    });
  });

  it('shares one watch and one load table among the channels of a service', async () => {
    const first = await connected({ 'grpc.use_local_subchannel_pool': 1 });
    const second = await connected({ 'grpc.use_local_subchannel_pool': 1 });
    assert.equal(lb.requests.length, 1);
    // Streams of one channel weigh on the other channel's picks.
    await streamsOnB(first);
    await eventually(async () => !(await spread(second, 20)).has('b'), 'b is busy for both');
    first.close();
    assert.match(await who(second), /[ab]/);
    assert.equal(lb.watches.size, 1);
    second.close();
    await lb.until(() => lb.watches.size === 0);
    const again = stack.client(lb.target());
    await who(again);
    assert.equal(lb.requests.length, 2);
  });

  it('puts one newcomer of B at the root', async () => {
    const { table, giveBack } = sharedTable([lb.address]);
    const random = Math.random;
    try {
      const client = await connected();
      lb.balancers = 4;
      lb.send({});
      await eventually(() => table.balancers === 4, 'the number of balancers');
      const firsts = [];
      for (const draw of [0.24, 0.26]) {
        const newcomer = await stack.backend(`n${draw}`);
        newcomer.handler = () => {};
        Math.random = () => draw;
        lb.send({ upserted: [newcomer.entry({ state: ServerState.SERVER_STATE_WARMING, weight: 0.001 })] });
        await eventually(() => table.loads.used === 3, 'the newcomer is known');
        Math.random = random;
        await eventually(async () => {
          await Promise.race([who(client).catch(() => {}), new Promise(resolve => setTimeout(resolve, 20))]);
          return newcomer.calls > 0 || draw > 0.25;
        }, 'a first call');
        for (let i = 0; i < 10; i++) {
          await Promise.race([who(client).catch(() => {}), new Promise(resolve => setTimeout(resolve, 20))]);
        }
        firsts.push(newcomer.calls);
        lb.send({ removedIds: [newcomer.id] });
        await eventually(() => table.loads.used === 2, 'the newcomer is gone');
      }
      // Capped at one call until its first proof; without the root its weight keeps it at the end.
      assert.deepEqual(firsts, [1, 0]);
    } finally {
      Math.random = random;
      giveBack();
    }
  });

  it('works for nice-grpc, streams included', async () => {
    const channel = stack.add(createChannel(lb.target(), ChannelCredentials.createInsecure()), one =>
      one.close(),
    );
    const definition = {
      who: {
        path: ECHO.who.path,
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: Uint8Array) => value,
        requestDeserialize: (value: Uint8Array) => value,
        responseSerialize: (value: Uint8Array) => value,
        responseDeserialize: (value: Uint8Array) => value,
        options: {},
      },
    } as const;
    const client = createClientFactory().create(definition, channel);
    const ids = new Set<string>();
    await eventually(async () => {
      ids.add(Buffer.from(await client.who(new Uint8Array())).toString());
      return ids.size === 2;
    }, 'both backends answer');
  });

  it('passes method settings of grpc.service_config on: a retry finds another server', async () => {
    const config = {
      methodConfig: [
        {
          name: [{ service: SERVICE }],
          timeout: '5.25s',
          retryPolicy: {
            maxAttempts: 4,
            initialBackoff: '0.01s',
            maxBackoff: '0.01s',
            backoffMultiplier: 1,
            retryableStatusCodes: ['UNAVAILABLE'],
          },
        },
      ],
    };
    const client = await connected({ 'grpc.service_config': JSON.stringify(config) });
    a.handler = (_call, done) => done({ code: UNAVAILABLE, details: 'broken' });
    assert.deepEqual([...(await spread(client, 30))], [['b', 30]]);
  });

  it('serves its list to another policy that the channel asks for', async () => {
    const config = { loadBalancingConfig: [{ round_robin: {} }] };
    const client = await connected({ 'grpc.service_config': JSON.stringify(config) });
    assert.deepEqual(Object.fromEntries(await spread(client, 20)), { a: 10, b: 10 });
    lb.send({ upserted: [a.entry({ state: ServerState.SERVER_STATE_DRAINING })] });
    await eventually(async () => (await spread(client, 6)).size === 1, 'only b');
  });
});
