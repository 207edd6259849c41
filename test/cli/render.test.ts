import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { renderShares } from '../../src/cli/commands/pick.ts';
import { renderServers } from '../../src/cli/commands/servers.ts';
import { renderDemo } from '../../src/cli/demo/view.ts';
import { renderBar } from '../../src/cli/render/bar.ts';
import { formatAge, formatLatency, formatNumber } from '../../src/cli/render/format.ts';
import { renderHeap } from '../../src/cli/render/heap.ts';
import { explainScore, formatScore } from '../../src/cli/render/score.ts';
import { clean, coloured, paintFor, plain } from '../../src/cli/render/style.ts';
import { renderTable } from '../../src/cli/render/table.ts';
import { renderTop } from '../../src/cli/render/top.ts';
import { renderTree } from '../../src/cli/render/tree.ts';
import type { ServerView } from '../../src/cli/server-view.ts';

const server = (id: string, more: Partial<ServerView> = {}): ServerView => ({
  id,
  address: `10.0.0.1:${50_050 + id.length}`,
  services: ['echo.v1.EchoService'],
  state: 'ACTIVE',
  cause: 'proved itself',
  pickedInPanic: false,
  stateTime: '2026-01-01T00:00:00.000Z',
  weight: 1,
  zone: '',
  labels: {},
  maxConcurrency: 0,
  sources: ['config'],
  score: 0.0214,
  utilization: 0.5,
  inFlight: 3,
  relayed: 0,
  leased: 1,
  capacity: 200,
  estimatedRps: 100,
  failure: 0,
  reportAgeMs: 400,
  reportIntervalMs: 1_000,
  ...more,
});

/** Lines without what a terminal does not show. */
const lines = (text: string) => text.split('\n').map(line => line.trimEnd());

test('a table: aligned, cut where the terminal is narrow, colours around and not inside widths', () => {
  const columns = [
    { title: 'NAME', shrinkTo: 4 },
    { title: 'N', align: 'right' as const },
  ];
  const rows = [
    [{ text: 'a-rather-long-name', style: 'bold' as const }, '1'],
    ['b', '1000'],
  ];
  const wide = ['NAME                   N', 'a-rather-long-name     1', 'b                   1000'];
  assert.deepEqual(lines(renderTable(columns, rows, plain)), wide);
  assert.deepEqual(lines(stripVTControlCharacters(renderTable(columns, rows, coloured))), wide);
  assert.deepEqual(lines(renderTable(columns, rows, plain, 14)), [
    'NAME         N',
    'a-rathe…     1',
    'b         1000',
  ]);
  assert.equal(lines(renderTable(columns, rows, plain, 23))[1], 'a-rather-long-na…     1'.trimEnd());
  // Narrower than it can be: nothing is lost below the least width.
  assert.deepEqual(lines(renderTable(columns, rows, plain, 1))[1], 'a-r…     1');
});

test('no text from elsewhere moves the cursor, and no line is wider than the terminal', () => {
  assert.equal(clean('a\x1b[2Jb\r\n\u202ec'), 'a\ufffd[2Jb\ufffd\ufffd\ufffdc');
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 5 }), texts => {
      const text = renderTable(
        [{ title: 'X', shrinkTo: 3 }],
        texts.map(each => [each]),
        plain,
        20,
      );
      const rows = text.split('\n');
      assert.equal(rows.length, texts.length + 1);
      for (const row of rows) {
        assert.ok([...row].length <= 20, row);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
        assert.doesNotMatch(row, /[\u0000-\u001f\u007f-\u009f]/);
      }
    }),
  );
});

test('bars: empty, eighths, full, over, unknown, always as wide', () => {
  assert.equal(renderBar(0, 8, plain), '        ');
  assert.equal(renderBar(0.5, 8, plain), '████    ');
  assert.equal(renderBar(1 / 64, 8, plain), '▏       ');
  assert.equal(renderBar(0.6, 8, plain), '████▊   ');
  assert.equal(renderBar(1, 8, plain), '████████');
  assert.equal(renderBar(1.7, 8, plain), '███████+');
  assert.equal(renderBar(-1, 8, plain), '        ');
  assert.equal(renderBar(null, 8, plain), '········');
  for (let fraction = 0; fraction < 2; fraction += 0.013) {
    assert.equal([...renderBar(fraction, 11, plain)].length, 11, String(fraction));
  }
});

test('numbers and times', () => {
  const numbers: [number, string][] = [
    [0, '0'],
    [0.02136, '0.0214'],
    [0.00001, '1.0e-5'],
    [1.5, '1.5'],
    [214.4, '214'],
    [9_994, '9994'],
    [12_440, '12.4k'],
    [2_500_000, '2.5M'],
    [Number.POSITIVE_INFINITY, 'inf'],
    [Number.NaN, '-'],
  ];
  for (const [value, text] of numbers) assert.equal(formatNumber(value), text);
  const ages: [number | null, string][] = [
    [null, '-'],
    [-5, '0.0s'],
    [340, '0.3s'],
    [12_000, '12s'],
    [240_000, '4m'],
    [10_800_000, '3h'],
    [400_000_000, '5d'],
  ];
  for (const [ms, text] of ages) assert.equal(formatAge(ms), text);
  assert.equal(formatLatency(0.4242), '0.42 ms');
  assert.equal(formatLatency(1_234), '1.23 s');
});

test('a tree of any arity, cut at a depth', () => {
  const names = [...'abcdefgh'];
  const label = (i: number) => names[i] ?? '?';
  assert.deepEqual(renderTree(8, 2, label), [
    'a',
    '├─ b',
    '│  ├─ d',
    '│  │  └─ h',
    '│  └─ e',
    '└─ c',
    '   ├─ f',
    '   └─ g',
  ]);
  assert.deepEqual(renderTree(6, 4, label), ['a', '├─ b', '│  └─ f', '├─ c', '├─ d', '└─ e']);
  assert.deepEqual(renderTree(8, 2, label, 1), ['a', '├─ b', '│  └─ … 3 more', '└─ c', '   └─ … 2 more']);
  assert.deepEqual(renderTree(8, 2, label, 0), ['a', '└─ … 7 more']);
  assert.deepEqual(renderTree(0, 2, label), []);
  assert.deepEqual(renderTree(1, 4, label), ['a']);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 8 }), (count, arity) => {
      const drawn = renderTree(count, arity, i => `#${i}#`);
      const seen = drawn.map(line => Number(/#(\d+)#/.exec(line)?.[1])).sort((a, b) => a - b);
      assert.deepEqual(
        seen,
        Array.from({ length: count }, (_, i) => i),
      );
    }),
  );
});

test('a heap with its reasons', () => {
  const node = (serverId: string, score: number, newcomer = false) => ({
    serverId,
    score,
    newcomer,
    terms: { own: 2, others: 1, capacity: 140.2 },
  });
  const heap = {
    arity: 4,
    zone: 'z1',
    nodes: [node('new', 0.025, true), node('a', 0.0214), node('b\x1b', 0.5)],
  };
  const drawing = {
    service: 'echo.v1.EchoService',
    heap,
    outside: ['1 standby', '2 ejected'],
    otherZones: ['z2'],
    allAtCap: false,
  };
  assert.deepEqual(renderHeap(drawing, plain).split('\n'), [
    'echo.v1.EchoService  3 servers, arity 4, zone z1',
    "new  25.0 ms  newcomer: at the root by rule  (2 own + 1.0 others' + 2) / 140 calls/s",
    "├─ a  21.4 ms  (2 own + 1.0 others' + 2) / 140 calls/s",
    "└─ b\ufffd  500.0 ms  (2 own + 1.0 others' + 2) / 140 calls/s",
    'outside the heap: 1 standby, 2 ejected',
    'heaps of other zones: z2 (--zone NAME)',
  ]);
  const none = { arity: 0, zone: '', nodes: [] };
  const empty = { service: '*', heap: none, outside: [], otherZones: [], allAtCap: false };
  assert.match(renderHeap(empty, plain), /empty: no server of this pool is warming or active/);
  const full = { ...empty, outside: ['2 at their cap'], allAtCap: true };
  assert.match(
    renderHeap(full, plain),
    /empty: no server of this pool has room below its cap\noutside the heap: 2 at their cap/,
  );
});

test('a score as a sum that can be checked', () => {
  const terms = { own: 3, relayed: 3, leased: 0, others: 1.25, capacity: 140.2, stale: 1, failure: 0 };
  assert.equal(explainScore(terms), "(3 own + 1.3 others' + 2) / 140 calls/s");
  assert.equal(explainScore({ ...terms, report_age_seconds: 0.4 }), explainScore(terms));
  const worse = { ...terms, stale: 1.5, failure: 0.2, penalty_seconds: 0.04, report_age_seconds: 2.1 };
  assert.equal(
    explainScore(worse),
    "(3 own + 1.3 others' + 2) / 140 calls/s × 1.5 (stale, report 2.1s old) + 40.0 ms for 20% failed",
  );
  assert.equal(explainScore({ 'odd\x1b': 2, capacity: 140.2 }), 'odd\ufffd 2, capacity 140');
  assert.equal(formatScore(Number.POSITIVE_INFINITY), 'inf');
});

test('top: in the order of picks, what fits, old figures marked', () => {
  const servers = [
    server('slow', { score: 0.9, utilization: 1.2, failure: 0.1, reportAgeMs: 9_000 }),
    server('fast'),
    server('quiet', { utilization: null, estimatedRps: null, reportAgeMs: null, reportIntervalMs: null }),
    server('spare', { state: 'STANDBY', score: 0 }),
    server('gone', { state: 'EJECTED', score: 0 }),
  ];
  const view = { address: '127.0.0.1:4701', service: '', servers };
  const screen = { columns: 200, rows: 40, paint: plain };
  assert.deepEqual(lines(renderTop(view, screen)), [
    'heapmesh 127.0.0.1:4701  all services  5 servers  1 standby, 3 active, 1 ejected  15 in flight',
    '',
    'SERVER  ADDRESS         STATE    UTILIZATION            IN FLIGHT     SCORE  ~RPS  FAILED  REPORT',
    'fast    10.0.0.1:50054  ACTIVE   ████████          50%          3   21.4 ms   100       -    0.4s',
    'quiet   10.0.0.1:50055  ACTIVE   ················    -          3   21.4 ms     -       -       -',
    'slow    10.0.0.1:50054  ACTIVE   ███████████████+ 120%          3  900.0 ms   100     10%    9.0s',
    'gone    10.0.0.1:50054  EJECTED  ████████          50%          3         -   100       -    0.4s',
    'spare   10.0.0.1:50055  STANDBY  ████████          50%          3         -   100       -    0.4s',
  ]);
  const small = lines(renderTop({ ...view, trouble: 'no balancer' }, { ...screen, columns: 90, rows: 7 }));
  assert.equal(small.length, 7);
  assert.equal(small[1], 'The figures below are old: no balancer');
  assert.match(small.at(-1) ?? '', /… 3 more/);
  for (const line of small.slice(3)) assert.ok([...line].length <= 90, line);
  const narrow = lines(renderTop(view, { ...screen, columns: 80 })).slice(2);
  assert.equal(narrow[1], 'fast    ACTIVE   ███     50%          3   21.4 ms   100       -    0.4s');
  for (const line of narrow) assert.ok([...line].length <= 80, line);
  assert.match(renderTop({ ...view, servers: [] }, screen), /No server yet/);
});

test('top in colours shows the same text', () => {
  const view = { address: 'h:1', service: 's', servers: [server('a'), server('b', { utilization: 0.95 })] };
  const size = { columns: 200, rows: 40 };
  const painted = renderTop(view, { ...size, paint: coloured });
  assert.notEqual(painted, stripVTControlCharacters(painted));
  assert.deepEqual(
    lines(stripVTControlCharacters(painted)),
    lines(renderTop(view, { ...size, paint: plain })),
  );
});

test('the list of servers', () => {
  const now = Date.parse('2026-01-01T00:01:00Z');
  const views = [
    server('a', { zone: 'z1', weight: 0.5 }),
    server('b', { state: 'DRAINING', sources: ['operator', 'stream'] }),
  ];
  assert.deepEqual(lines(renderServers(views, now, plain)), [
    'SERVER  ADDRESS         SERVICES             STATE     WEIGHT  ZONE  UTIL  IN FLIGHT    SCORE  SOURCES          SINCE  CAUSE',
    'a       10.0.0.1:50051  echo.v1.EchoService  ACTIVE       0.5  z1     50%          3  21.4 ms  config             60s  proved itself',
    'b       10.0.0.1:50051  echo.v1.EchoService  DRAINING       1  -      50%          3        -  operator,stream    60s  proved itself',
  ]);
});

test('how picks spread', () => {
  const shares = [
    { id: 'a', address: 'h:1', picks: 75 },
    { id: 'b', address: 'h:2', picks: 25 },
  ];
  assert.deepEqual(lines(renderShares(shares, plain)), [
    'SERVER  ADDRESS  PICKS  SHARE',
    'a       h:1         75    75%  ███████████████',
    'b       h:2         25    25%  █████',
  ]);
});

test('colours on a terminal only, and not with NO_COLOR or a dumb terminal', () => {
  const tty = { isTTY: true } as never;
  assert.equal(paintFor(tty, {}), coloured);
  assert.equal(paintFor(tty, { NO_COLOR: '' }), coloured);
  assert.equal(paintFor(tty, { NO_COLOR: '1' }), plain);
  assert.equal(paintFor(tty, { TERM: 'dumb' }), plain);
  assert.equal(paintFor({} as never, {}), plain);
});

test('the demo fits 80 columns, and says why a heap is empty', () => {
  const figures = (served: number) => ({
    served,
    failed: 0,
    p50: 24.1,
    p99: 812.5,
    max: 999,
    byServer: new Map([['standby', served]]),
    failures: new Map(),
  });
  const terms = { own: 12, others: 3.5, capacity: 194.2 };
  const view = {
    control: '127.0.0.1:4701',
    consoleUrl: 'http://127.0.0.1:4702/',
    seconds: 3_600,
    rate: 5_000,
    arity: 4,
    nodes: [{ id: 'standby', score: 0.9014, newcomer: false, terms }],
    servers: [
      { id: 'standby', state: 'ACTIVE' as const, inFlight: 2_000, utilization: 1, score: 0.9014 },
      { id: 'slow', state: 'DRAINING' as const, inFlight: 0, utilization: null, score: null },
    ],
    recent: figures(25_000),
    recentS: 5,
    total: figures(1_000_000),
    events: [],
  };
  for (const line of lines(renderDemo(view, plain, 80))) assert.ok([...line].length <= 80, line);
  assert.match(
    renderDemo({ ...view, nodes: [] }, plain, 80),
    /empty: every server is at the cap of its warm-up/,
  );
  const servers = view.servers.map(server => ({ ...server, score: null }));
  assert.match(renderDemo({ ...view, nodes: [], servers }, plain, 80), /empty: no server takes calls/);
});
