/** The event stream over a real mesh: what readers are told, and that slow ones are told the newest. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Column, Departed, Told } from '../../src/admin/api/column.ts';
import { Feed } from '../../src/admin/api/feed.ts';
import { LoadRows } from '../../src/admin/api/loads.ts';
import type { Sources } from '../../src/admin/api/sources.ts';
import { type Hello, LOAD_COLUMNS, Place, type ServerInfo, type Update } from '../../src/admin/wire.ts';
import { ADMIN_LIMITS } from '../../src/core/limits.ts';
import { Rig, SERVICE, spec } from '../core/rig.ts';

test('a column tells each reader what is new to it, in turns of a bounded size', () => {
  const column = new Column();
  const fast = new Told(column);
  const slow = new Told(column);
  for (let row = 0; row < 10; row++) column.set(row, `r${row}`);
  assert.deepEqual(fast.take(1_000), ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9']);
  assert.deepEqual(fast.take(1_000), []);
  for (let round = 0; round < 5; round++) column.set(3, `r3.${round}`);
  column.set(4, 'r4');
  assert.deepEqual(fast.take(1_000), ['r3.4'], 'only the newest, and nothing for what is the same');
  // Three characters a row: turns of two rows, and every row has its turn although others change all the time.
  const heard = new Set<string>();
  for (let turn = 0; turn < 12; turn++) {
    column.set(0, `x${turn % 2}`);
    for (const text of slow.take(6)) heard.add(text.slice(0, 2));
  }
  assert.equal(slow.behind, false);
  assert.ok(
    ['r1', 'r2', 'r3', 'r9'].every(text => heard.has(text)),
    [...heard].join(),
  );
  column.clear(5);
  slow.forget(5);
  assert.equal(slow.has(5), false);
  assert.equal(slow.has(6), true);
});

test('what departed is known for a while, and then it is known that it is not', () => {
  const departed = new Departed<number>(10);
  for (let i = 0; i < 15; i++) departed.add(i);
  assert.deepEqual(departed.since(12), [12, 13, 14]);
  for (let i = 15; i < 200; i++) departed.add(i);
  assert.equal(departed.since(12), undefined);
  assert.deepEqual(departed.since(198), [198, 199]);
  assert.deepEqual(departed.since(departed.count), []);
});

interface Board {
  readonly hello: Hello | undefined;
  readonly servers: Map<number, ServerInfo>;
  readonly loads: Map<number, readonly (number | null)[]>;
  readonly updates: Update[];
  longest: number;
}

/** What a console makes of a stream. */
function take(board: Board & { hello: Hello | undefined }, text: string): Update | undefined {
  const [, name, data = ''] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(text) ?? [];
  if (name === 'hello') {
    board.hello = JSON.parse(data);
    return undefined;
  }
  const update = JSON.parse(data) as Update;
  board.longest = Math.max(board.longest, text.length);
  board.updates.push(update);
  for (const row of update.gone ?? []) {
    board.servers.delete(row);
    board.loads.delete(row);
  }
  for (const server of update.servers ?? []) board.servers.set(server.row, server);
  for (const [row, ...values] of update.loads ?? []) {
    assert.ok(board.servers.has(row as number), 'a load is of a server that was told before');
    board.loads.set(row as number, values);
  }
  return update;
}

const newBoard = () => ({
  hello: undefined as Hello | undefined,
  servers: new Map<number, ServerInfo>(),
  loads: new Map<number, readonly (number | null)[]>(),
  updates: [] as Update[],
  longest: 0,
});

function feedOver(rig: Rig, more: Partial<Sources> = {}): Feed {
  const sources: Sources = {
    mesh: rig.mesh,
    instance: { id: 'lb-1', zone: '' },
    version: '1.2.3',
    addresses: { proxy: '127.0.0.1:1', control: '127.0.0.1:2' },
    wall: () => 1_000_000 + rig.now,
    settings: () => ({ writes: true, traceLink: undefined }),
    history: undefined,
    calls: { after: () => [] },
    gauges: () => ({ connections: 0, calls: 0, reporters: 0, watches: 0 }),
    connections: () => assert.fail('nobody asked'),
    ...more,
  };
  return new Feed(sources, 'build-1', error => assert.fail(String(error)));
}

/** One message after the other, until one that is not followed by more at once. */
async function settle(stream: AsyncGenerator<string>, board: ReturnType<typeof newBoard>): Promise<Update> {
  for (;;) {
    const { value } = await stream.next();
    const update = take(board, value ?? '');
    if (update !== undefined && update.more === undefined) return update;
  }
}

test('a reader is told all at first, and then what changed', async context => {
  const rig = new Rig();
  for (const id of ['a', 'b', 'c']) rig.add(spec(id));
  const gone = new AbortController();
  const stream = feedOver(rig).open({ service: SERVICE, zone: '' }, gone.signal);
  context.after(() => stream.return(undefined));
  const board = newBoard();
  const first = await settle(stream, board);
  assert.equal(board.hello?.build, 'build-1');
  assert.deepEqual([...board.servers.values()].map(server => server.id).sort(), ['a', 'b', 'c']);
  assert.equal(first.settings?.writes, true);
  assert.equal(first.pools?.[0]?.service, SERVICE);
  assert.equal(first.totals?.servers.WARMING, 3);
  assert.equal(first.events?.length, 3);
  assert.equal(first.heap?.size, 3);
  const idOf = (row: number) => board.servers.get(row)?.id;
  const expected = rig.mesh
    .pool(SERVICE)
    ?.heap(rig.now)
    .nodes.map(node => rig.mesh.idOf(node.slot));
  assert.deepEqual(first.heap?.nodes.map(idOf), expected);
  const rootLoad = board.loads.get(first.heap?.nodes[0] as number);
  assert.equal(rootLoad?.[LOAD_COLUMNS.indexOf('place')], Place.NEWCOMER);

  const quiet = await settle(stream, board);
  assert.deepEqual(Object.keys(quiet), ['time'], 'nothing has changed but the time');

  rig.report('b', { inFlight: 7, utilization: 0.5, rps: 10 });
  rig.propose({ kind: 'drain', id: 'c', by: 'operator', timeoutMs: 1_000, afterwards: 'stay' });
  const next = await settle(stream, board);
  assert.deepEqual(
    next.servers?.map(server => [server.id, server.state]),
    [['c', 'DRAINING']],
  );
  assert.equal(next.events?.at(-1)?.state, 'DRAINING');
  const b = [...board.servers.values()].find(server => server.id === 'b') as ServerInfo;
  const value = (name: (typeof LOAD_COLUMNS)[number]) => board.loads.get(b.row)?.[LOAD_COLUMNS.indexOf(name)];
  assert.deepEqual([value('reported'), value('utilization')], [7, 0.5]);

  rig.propose({ kind: 'remove', id: 'a' });
  rig.add(spec('d'));
  await settle(stream, board);
  assert.deepEqual([...board.servers.values()].map(server => server.id).sort(), ['b', 'c', 'd']);
});

test('1,000 servers: messages of a bounded size, and a slow reader skips what is no longer so', async context => {
  const rig = new Rig();
  const ids = Array.from({ length: 1_000 }, (_, i) => `backend-${i}.mesh.example.org:50051`);
  for (const id of ids) rig.add(spec(id));
  const feed = feedOver(rig);
  const gone = new AbortController();
  const stream = feed.open({ service: '', zone: '' }, gone.signal);
  context.after(() => stream.return(undefined));
  const board = newBoard();
  await settle(stream, board);
  assert.equal(board.servers.size, 1_000);
  assert.equal(board.loads.size, 1_000);
  const first = board.updates.length;
  assert.ok(board.longest < 3 * ADMIN_LIMITS.messageChars, `${board.longest} characters`);
  // Everything changes many times while nobody asks: that is one message a second, not one a change.
  for (let round = 1; round <= 20; round++) {
    rig.now += 1_000;
    for (const id of ids) rig.report(id, { inFlight: round, utilization: round / 100, rps: 100 });
  }
  board.longest = 0;
  const column = LOAD_COLUMNS.indexOf('reported');
  let asked = 0;
  while ([...board.loads.values()].some(values => values[column] !== 20)) {
    await settle(stream, board);
    asked++;
  }
  assert.ok(asked <= 2, `${asked} times until the newest of all rows was told`);
  const messages = board.updates.length - first;
  assert.ok(messages <= 3 * asked, `${messages} messages for 1,000 rows that changed 20 times`);
  assert.ok(board.longest < 2 * ADMIN_LIMITS.messageChars, `${board.longest} characters`);
});

test('of a large mesh the top of the heap is told each time, the others by turns, and for how long is said', async context => {
  const rig = new Rig();
  const count = ADMIN_LIMITS.rowsPerTick + 500;
  const ids = Array.from({ length: count }, (_, i) => `s${i}`);
  for (const id of ids) rig.add(spec(id));
  const gone = new AbortController();
  const stream = feedOver(rig).open({ service: SERVICE, zone: '' }, gone.signal);
  context.after(() => stream.return(undefined));
  const board = newBoard();
  await settle(stream, board);
  assert.equal(board.loads.size, count);
  const settings = [...board.updates].reverse().find(update => update.settings !== undefined)?.settings;
  assert.equal(settings?.loadsMs, 2 * ADMIN_LIMITS.streamMs);

  const column = LOAD_COLUMNS.indexOf('reported');
  rig.now += 1_000;
  for (const id of ids) rig.report(id, { inFlight: 9, utilization: 0.5, rps: 100 });
  await settle(stream, board);
  const heap = board.updates.findLast(update => update.heap !== undefined)?.heap;
  const isNew = (row: number) => board.loads.get(row)?.[column] === 9;
  assert.ok(heap?.nodes.every(isNew), 'the tree is of now');
  const first = [...board.loads.keys()].filter(isNew).length;
  assert.ok(first < count, `${first} of ${count}`);
  await settle(stream, board);
  assert.equal([...board.loads.keys()].filter(isNew).length, count);
});

test('streams are bounded, and end with their readers', async context => {
  const rig = new Rig();
  rig.add(spec('a'));
  const feed = feedOver(rig);
  const open = async (t: TestContext) => {
    const gone = new AbortController();
    const stream = feed.open({ service: '', zone: '' }, gone.signal);
    t.after(() => stream.return(undefined));
    await stream.next();
    return { gone, stream };
  };
  const streams = [];
  for (let i = 0; i < ADMIN_LIMITS.streams; i++) streams.push(await open(context));
  assert.throws(() => feed.open({ service: '', zone: '' }, new AbortController().signal), /streams are open/);
  const [one] = streams;
  await one?.stream.next();
  const waiting = one?.stream.next();
  one?.gone.abort();
  assert.equal((await waiting)?.done, true);
  await open(context);
});

test('rows of figures: told where a digit that is shown has changed, whatever the number of rows', () => {
  const rows = new LoadRows();
  const told = new Told(rows);
  const figures = new Float64Array(LOAD_COLUMNS.length).fill(Number.NaN);
  const text = (row: number, ...first: (number | null)[]): string =>
    JSON.stringify([row, ...first, ...figures.subarray(first.length).fill(Number.NaN)]);
  const set = (row: number, ...first: number[]): void => {
    figures.fill(Number.NaN).set(first);
    rows.set(row, figures);
  };
  set(0, 123.456, 12.345, 1.23456, 0.123456, Number.POSITIVE_INFINITY, -0);
  assert.deepEqual(told.take(1_000), [text(0, 123, 12.3, 1.23, 0.1235, null, 0)]);
  set(0, 123.4, 12.349, 1.2349, 0.12346, Number.NaN, 0);
  set(200, 1);
  assert.deepEqual(told.take(1_000), [text(200, 1)], 'row 0 is shown as before');
  set(0, 124);
  rows.clear(200);
  assert.deepEqual(told.take(1_000), [text(0, 124)]);
  assert.equal(told.has(200), true);
  told.forget(200);
  set(200, 1);
  assert.deepEqual(told.take(1_000), [text(200, 1)], 'another server in its place');
});
