/** The picture of the flows: boxes and arrows by their places, drawn as SVG. */

interface Box {
  readonly at: readonly [x: number, y: number];
  readonly size: readonly [width: number, height: number];
  readonly title: string;
  readonly lines: readonly string[];
}

interface Arrow {
  /** Corners; the head is at the last. Empty: a label alone. */
  readonly path: string;
  readonly both?: boolean;
  readonly label?: string;
  readonly at?: readonly [x: number, y: number];
  readonly anchor?: 'start' | 'middle' | 'end';
}

const WIDTH = 1060;
const TOP = -20;
const HEIGHT = 644;
const ZONE = { at: [280, 16], size: [540, 596], title: 'one instance of Heapmesh' } as const;

const BOXES: readonly Box[] = [
  { at: [28, 60], size: [164, 90], title: 'Caller', lines: ['any gRPC client,', 'pointed at the proxy'] },
  { at: [28, 200], size: [164, 100], title: 'Caller', lines: ['heapmesh/client,', 'or PickServer'] },
  { at: [28, 490], size: [164, 98], title: 'Operator', lines: ['heapmesh CLI', 'or any gRPC client'] },
  {
    at: [330, 60],
    size: [190, 90],
    title: 'proxy/',
    lines: ['HTTP/2 frames in and out,', 'route by service'],
  },
  {
    at: [330, 200],
    size: [190, 100],
    title: 'control/',
    lines: ['LookasideService', 'LoadReportService', 'AdminService'],
  },
  {
    at: [600, 60],
    size: [190, 240],
    title: 'core/ pool',
    lines: ['one for each service:', 'a min-heap a zone,', 'key = expected wait'],
  },
  {
    at: [330, 350],
    size: [190, 84],
    title: 'core/ leases',
    lines: ['calls that are placed', 'and have not ended'],
  },
  {
    at: [600, 350],
    size: [190, 84],
    title: 'core/ load table',
    lines: ['one row a server,', 'shared by its pools'],
  },
  {
    at: [330, 490],
    size: [190, 98],
    title: 'core/ registry',
    lines: ['facts and observations:', 'the only writer'],
  },
  { at: [600, 490], size: [190, 98], title: 'state/ log', lines: ['gives every change', 'its position'] },
  { at: [884, 60], size: [148, 90], title: 'Backend', lines: ['heapmesh/backend,', 'or any gRPC server'] },
  { at: [884, 200], size: [148, 100], title: 'Backend', lines: ['heapmesh/backend,', 'or any gRPC server'] },
  { at: [884, 490], size: [148, 98], title: 'Standby', lines: ['waits for its turn'] },
];

const ARROWS: readonly Arrow[] = [
  { path: 'M192 92 H330', label: 'call', at: [236, 85] },
  { path: 'M330 124 H192', label: 'answer', at: [236, 141] },
  {
    path: 'M425 60 V44 H958 V60',
    both: true,
    label: 'the proxied call, relayed frame by frame',
    at: [690, 37],
  },
  { path: 'M520 92 H600', label: 'pick', at: [560, 85] },
  { path: 'M600 124 H520', label: 'lease', at: [560, 141] },
  { path: 'M192 232 H330', label: 'PickServer', at: [236, 225] },
  { path: 'M330 268 H192', label: 'server, lease', at: [236, 285] },
  {
    path: 'M28 250 H10 V-8 H1050 V250 H1032',
    label: 'a lookaside call goes straight from the caller to the backend',
    at: [550, 8],
  },
  { path: 'M520 232 H600', label: 'pick', at: [560, 225] },
  { path: 'M600 268 H520', label: 'lease', at: [560, 285] },
  { path: 'M330 136 H312 V392 H330', label: 'complete', at: [318, 332], anchor: 'start' },
  { path: 'M425 300 V350', label: 'outcome', at: [432, 332], anchor: 'start' },
  { path: 'M520 392 H600', label: 'count', at: [560, 385] },
  { path: 'M695 350 V300', label: 're-key', at: [702, 332], anchor: 'start' },
  { path: 'M884 130 H846 V398 H790' },
  { path: 'M884 270 H846 V398 H790', label: 'ReportLoad', at: [854, 344], anchor: 'start' },
  { path: '', label: '(taken by control/)', at: [854, 360], anchor: 'start' },
  { path: 'M192 538 H330', label: 'add, drain, weight', at: [260, 531] },
  { path: 'M520 522 H600', label: 'propose', at: [560, 515] },
  { path: 'M600 556 H520', label: 'entry', at: [560, 573] },
  { path: 'M425 490 V462 H806 V180 H790', label: 'members and their states', at: [600, 456] },
];

const STYLE = `svg{background:#fff}
text{font-family:ui-sans-serif,system-ui,sans-serif;fill:#1c2733}
.box{fill:#eef4fb;stroke:#3b6ea5;stroke-width:1.4}
.zone{fill:#f8fafc;stroke:#c3cfdb;stroke-dasharray:5 4}
.t{font-size:15px;font-weight:600;text-anchor:middle}
.s{font-size:12px;text-anchor:middle;fill:#4a5a6a}
.z{font-size:13px;fill:#4a5a6a}
.l{font-size:12px;fill:#22527f}
.a{fill:none;stroke:#22527f;stroke-width:1.5}`;

const HEAD =
  '<marker id="m" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="#22527f"/></marker>';

function box({ at: [x, y], size: [width, height], title, lines }: Box): string {
  const middle = x + width / 2;
  // The text as a whole stands in the middle of its box.
  const top = y + (height - (15 + lines.length * 17)) / 2 + 13;
  return [
    `<rect class="box" x="${x}" y="${y}" width="${width}" height="${height}" rx="8"/>`,
    `<text class="t" x="${middle}" y="${top}">${title}</text>`,
    ...lines.map((line, i) => `<text class="s" x="${middle}" y="${top + 20 + i * 16}">${line}</text>`),
  ].join('\n');
}

function arrow({ path, both, label, at, anchor = 'middle' }: Arrow): string {
  const start = both === true ? ' marker-start="url(#m)"' : '';
  const line = path === '' ? '' : `<path class="a" d="${path}"${start} marker-end="url(#m)"/>`;
  if (label === undefined || at === undefined) return line;
  return `${line}\n<text class="l" text-anchor="${anchor}" x="${at[0]}" y="${at[1]}">${label}</text>`;
}

export function renderFlows(): string {
  const [x, y] = ZONE.at;
  const [width, height] = ZONE.size;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 ${TOP} ${WIDTH} ${HEIGHT}" role="img" aria-label="Flows of Heapmesh">`,
    `<style>\n${STYLE}\n</style>`,
    `<defs>${HEAD}</defs>`,
    `<rect class="zone" x="${x}" y="${y}" width="${width}" height="${height}" rx="12"/>`,
    `<text class="z" x="${x + 16}" y="${y + height - 8}">${ZONE.title}</text>`,
    ...BOXES.map(box),
    ...ARROWS.map(arrow),
    '</svg>',
    '',
  ].join('\n');
}
