/** A heap in array order, drawn as the tree that it is. */

/**
 * One line a node, the root first, children below their parent.
 *
 * @param count of nodes; node i has the children `arity * i + 1` to `arity * i + arity`.
 * @param label of a node, one line.
 * @param depth of levels drawn below the root; what is left out is counted in a line of its own.
 */
export function renderTree(
  count: number,
  arity: number,
  label: (index: number) => string,
  depth = Number.POSITIVE_INFINITY,
): string[] {
  const lines: string[] = [];
  const draw = (index: number, lead: string, branch: string, level: number): void => {
    lines.push(`${lead}${branch}${label(index)}`);
    const first = arity * index + 1;
    const last = Math.min(count - 1, arity * index + arity);
    if (first > last) return;
    const below = branch === '' ? '' : `${lead}${branch === '└─ ' ? '   ' : '│  '}`;
    if (level === depth) {
      lines.push(`${below}└─ … ${sizeBelow(index, count, arity)} more`);
      return;
    }
    for (let child = first; child <= last; child++)
      draw(child, below, child === last ? '└─ ' : '├─ ', level + 1);
  };
  if (count > 0) draw(0, '', '', 0);
  return lines;
}

/** Nodes below one node: level by level, a level of descendants is one run of the array. */
function sizeBelow(index: number, count: number, arity: number): number {
  let size = 0;
  let [from, to] = [arity * index + 1, arity * index + arity];
  while (from < count) {
    size += Math.min(to, count - 1) - from + 1;
    [from, to] = [arity * from + 1, arity * to + arity];
  }
  return size;
}
