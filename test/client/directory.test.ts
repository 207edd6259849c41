import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { Directory } from '../../src/client/directory.ts';
import { CallerTable } from '../../src/client/table.ts';
import { ServerState } from '../../src/gen/heapmesh/v1/server.ts';
import { eventually, loadOf, type ScriptedBalancer, SERVICE, Stack, serverOf } from './support.ts';

const { SERVER_STATE_WARMING, SERVER_STATE_ACTIVE } = ServerState;

describe('the list of a service', () => {
  let stack: Stack;
  let lb: ScriptedBalancer;
  let table: CallerTable;
  let settled: number;

  beforeEach(async () => {
    stack = new Stack();
    lb = await stack.balancer();
    table = new CallerTable({ clock: () => performance.now(), random: () => 0.5 });
    settled = 0;
  });
  afterEach(() => stack.end());

  function open(service = SERVICE): Directory {
    const target = {
      balancers: [lb.address],
      service,
      zone: '',
      maxServers: 0,
      clientId: 'me',
      minIntervalMs: undefined,
    };
    const shared = { table, giveBack: () => {} };
    const directory = new Directory(grpc, target, grpc.credentials.createInsecure(), shared);
    directory.listen({ changed() {}, removed() {}, settled: () => settled++ });
    return stack.add(directory, one => one.close());
  }

  const known = (directory: Directory) =>
    Object.fromEntries([...directory.servers()].map(one => [one.row.id, one.view.state]));
  const entry = (id: string, state: ServerState = SERVER_STATE_ACTIVE) =>
    serverOf({ id, address: '127.0.0.1:1', state });

  async function send(message: Parameters<ScriptedBalancer['send']>[0]): Promise<void> {
    const before = settled;
    lb.send(message);
    await eventually(() => settled > before, 'the message is taken in');
  }

  it('is put together from a snapshot in parts, and changes', async () => {
    lb.first = { upserted: [entry('a')] };
    const directory = open();
    await eventually(() => directory.listed, 'the list');
    await send({ upserted: [entry('b'), entry('c')] });
    await send({ removedIds: ['b', 'never-known'] });
    assert.deepEqual(known(directory), { a: 'ACTIVE', c: 'ACTIVE' });
    assert.deepEqual(
      directory.endpoints().map(one => one.addresses),
      [[{ host: '127.0.0.1', port: 1 }], [{ host: '127.0.0.1', port: 1 }]],
    );
  });

  it('keeps a server that a new snapshot does not name, in doubt', async () => {
    lb.first = { upserted: [entry('a'), entry('b')] };
    const directory = open();
    await eventually(() => directory.listed, 'the list');
    const doubts = () =>
      Object.fromEntries([...directory.servers()].map(one => [one.row.id, !one.confirmed]));
    await send({ snapshot: true, upserted: [entry('b')] });
    assert.deepEqual(doubts(), { a: true, b: false });
    await send({ upserted: [entry('a')] });
    assert.deepEqual(doubts(), { a: false, b: false }, 'it came in a later part');
    await send({ snapshot: true });
    await send({ removedIds: ['a'] });
    assert.deepEqual(doubts(), { b: true });
  });

  it('passes over what is no server', async () => {
    lb.first = {
      upserted: [serverOf({ id: 'x', address: 'nowhere' }), serverOf({ id: '', address: 'h:1' }), entry('a')],
    };
    const directory = open();
    await eventually(() => directory.listed, 'the list');
    assert.deepEqual(known(directory), { a: 'ACTIVE' });
    await send({ loads: [loadOf('never-known')] });
    // A state of a later version: not to be called before this one knows what it means.
    await send({ upserted: [entry('a', 99 as ServerState)] });
    assert.deepEqual(known(directory), { a: 'EJECTED' });
  });

  it('sees a new life of a server in a sequence that begins again, but not in another balancer', async () => {
    lb.first = { upserted: [entry('a')] };
    const directory = open();
    await eventually(() => directory.listed, 'the list');
    const [server] = directory.servers();
    const slot = server?.row.slot ?? -1;
    await send({ loads: [loadOf('a', { sequence: 7n, capacity: 300 })] });
    await send({ loads: [loadOf('a', { sequence: 8n, capacity: 300 })] });
    assert.equal(table.loads.capacity[slot], 300);
    // After a snapshot the sequences are those of another instance, or of its next life.
    await send({ snapshot: true, upserted: [entry('a')], loads: [loadOf('a', { sequence: 2n })] });
    assert.equal(table.loads.capacity[slot], 300);
    await send({ loads: [loadOf('a', { sequence: 1n })] });
    assert.equal(table.loads.capacity[slot], 0);
  });

  it('takes a server for warm once its own calls have proved it, whichever list they came by', async () => {
    lb.first = { upserted: [entry('a', SERVER_STATE_WARMING)] };
    const first = open();
    const second = open('other.v1.Service');
    await eventually(() => first.listed && second.listed, 'both lists');
    assert.deepEqual(known(second), { a: 'WARMING' });
    const [server] = first.servers();
    assert.ok(server?.row.warming);
    table.endWarmUp(server.row);
    assert.deepEqual(known(first), { a: 'ACTIVE' });
    assert.deepEqual(known(second), { a: 'ACTIVE' });
    await send({ upserted: [entry('a', SERVER_STATE_WARMING)] });
    assert.deepEqual(known(first), { a: 'ACTIVE' }, 'said again, it is no new warm-up');
    const third = open('third.v1.Service');
    await eventually(() => third.listed, 'a third list');
    assert.deepEqual(known(third), { a: 'ACTIVE' }, 'nor in a list that came later');
    await send({ upserted: [entry('a')] });
    await send({ upserted: [entry('a', SERVER_STATE_WARMING)] });
    assert.deepEqual(known(first), { a: 'WARMING' }, 'after it was warm for the balancer too');
  });

  it('gives its rows back when it is closed', async () => {
    lb.first = { upserted: [entry('a'), entry('b')] };
    const first = open();
    const second = open();
    await eventually(() => first.listed && second.listed, 'both lists');
    assert.equal(table.loads.used, 2);
    first.close();
    assert.equal(table.loads.used, 2);
    second.close();
    assert.equal(table.loads.used, 0);
  });
});
