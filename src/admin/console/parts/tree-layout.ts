/** Where the nodes of a heap stand in a picture of a given width. */

export type Shape = 'card' | 'chip' | 'dot';

export interface Spot {
  /** Centre. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly shape: Shape;
  readonly depth: number;
  /** Index of the parent; −1 for the root. */
  readonly parent: number;
}

export interface Layout {
  readonly spots: readonly Spot[];
  readonly width: number;
  readonly height: number;
}

const SHAPES: readonly {
  shape: Shape;
  least: number;
  most: number;
  height: number;
  gap: number;
  below: number;
}[] = [
  { shape: 'card', least: 128, most: 208, height: 54, gap: 14, below: 30 },
  { shape: 'chip', least: 54, most: 96, height: 24, gap: 6, below: 26 },
  { shape: 'dot', least: 0, most: 15, height: 15, gap: 3, below: 22 },
];
/** Narrower than this, nodes of a level cannot be told apart. */
const LEAST_SLOT = 8;

/** The most nodes whose levels all fit. */
export function fitting(count: number, arity: number, width: number): number {
  let total = 1;
  let level = 1;
  while (total < count) {
    level *= arity;
    if (Math.min(level, count - total) * LEAST_SLOT > width) break;
    total += level;
  }
  return Math.min(total, count);
}

export function layOut(count: number, arity: number, width: number): Layout {
  const parentOf = (i: number): number => (i === 0 ? -1 : Math.floor((i - 1) / arity));
  // Leaves below each node: a node stands over the middle of them.
  const leaves = new Array<number>(count).fill(0);
  for (let i = count - 1; i >= 0; i--) {
    if (leaves[i] === 0) leaves[i] = 1;
    const parent = parentOf(i);
    if (parent >= 0) leaves[parent] = (leaves[parent] as number) + (leaves[i] as number);
  }
  const start = new Array<number>(count).fill(0);
  const filled = new Array<number>(count).fill(0);
  const depth = new Array<number>(count).fill(0);
  const slot = width / Math.max(1, leaves[0] ?? 1);
  const narrowest: number[] = [];
  for (let i = 0; i < count; i++) {
    const parent = parentOf(i);
    if (parent >= 0) {
      depth[i] = (depth[parent] as number) + 1;
      start[i] = (start[parent] as number) + (filled[parent] as number);
      filled[parent] = (filled[parent] as number) + (leaves[i] as number) * slot;
    }
    const level = depth[i] as number;
    const span = (leaves[i] as number) * slot;
    narrowest[level] = Math.min(narrowest[level] ?? Number.POSITIVE_INFINITY, span);
  }
  const tops: number[] = [];
  let y = 10;
  const styles = narrowest.map(span => SHAPES.find(({ least }) => span >= least) ?? SHAPES[2]);
  for (const [level, style] of styles.entries()) {
    tops[level] = y;
    y += (style?.height ?? 0) + (level === styles.length - 1 ? 10 : (style?.below ?? 0));
  }
  const spots = Array.from({ length: count }, (_, i): Spot => {
    const level = depth[i] as number;
    const style = styles[level] as (typeof SHAPES)[number];
    const span = (leaves[i] as number) * slot;
    return {
      x: (start[i] as number) + span / 2,
      y: (tops[level] as number) + style.height / 2,
      width: Math.max(4, Math.min(style.most, (narrowest[level] as number) - style.gap)),
      height: style.height,
      shape: style.shape,
      depth: level,
      parent: parentOf(i),
    };
  });
  return { spots, width, height: y };
}
