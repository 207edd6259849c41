/** What `heap` draws: one pool's tree, with the score and its parts for each server. */
import type { GetHeapResponse, HeapNode } from '../../gen/heapmesh/v1/admin.ts';
import { plural } from './format.ts';
import { explainScore, formatScore } from './score.ts';
import { clean, type Paint } from './style.ts';
import { renderTree } from './tree.ts';

export interface HeapDrawing {
  readonly service: string;
  readonly heap: GetHeapResponse;
  /** Other zones of the pool, which have heaps of their own. */
  readonly otherZones: readonly string[];
  /** Servers of the pool that stand in no heap, by state or reason, as `2 standby`. */
  readonly outside: readonly string[];
  /** Some are in service, and each is at the cap of its warm-up or at its `max_concurrency`. */
  readonly allAtCap: boolean;
  /** Levels below the root. */
  readonly depth?: number;
}

export function renderHeap(drawing: HeapDrawing, paint: Paint): string {
  const { heap, service, outside, otherZones } = drawing;
  const zone = heap.zone === '' ? '' : `, zone ${clean(heap.zone)}`;
  const about = `${plural(heap.nodes.length, 'server')}, arity ${heap.arity}${zone}`;
  const lines = [`${paint('bold', clean(service))}  ${paint('dim', about)}`];
  if (heap.nodes.length === 0)
    lines.push(
      `  empty: no server of this pool ${drawing.allAtCap ? 'has room below its cap' : 'is warming or active'}`,
    );
  // A heap of one still has an arity; 0 would be a balancer that says none.
  const arity = Math.max(1, heap.arity);
  const label = (index: number) => labelOf(heap.nodes[index], index === 0, paint);
  lines.push(...renderTree(heap.nodes.length, arity, label, drawing.depth));
  if (outside.length > 0) lines.push(paint('dim', `outside the heap: ${outside.join(', ')}`));
  if (otherZones.length > 0) {
    lines.push(paint('dim', `heaps of other zones: ${otherZones.map(clean).join(', ')} (--zone NAME)`));
  }
  return lines.join('\n');
}

function labelOf(node: HeapNode | undefined, isRoot: boolean, paint: Paint): string {
  if (node === undefined) return '';
  const id = clean(node.serverId);
  const score = paint(isRoot ? 'green' : 'cyan', formatScore(node.score));
  const rule = isRoot ? 'newcomer: at the root by rule' : 'newcomer';
  const newcomer = node.newcomer ? `  ${paint('magenta', rule)}` : '';
  const terms = explainScore(node.terms);
  return `${isRoot ? paint('bold', id) : id}  ${score}${newcomer}${terms === '' ? '' : `  ${paint('dim', terms)}`}`;
}
