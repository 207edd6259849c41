/** Why a pick went where it went, in words, from the heap as it was just before. */
import type { GetHeapResponse, HeapNode } from '../../gen/heapmesh/v1/admin.ts';
import { formatScore } from '../render/score.ts';

export interface PickQuestion {
  readonly hashKey?: string;
  readonly excluded?: readonly string[];
}

/** @param heap undefined where it could not be read. */
export function explainPick(
  pickedId: string,
  heap: GetHeapResponse | undefined,
  question: PickQuestion,
): string {
  if (question.hashKey !== undefined) return `its hash key is '${question.hashKey}'`;
  const excluded = new Set(question.excluded ?? []);
  const order = (heap?.nodes ?? []).filter(node => !excluded.has(node.serverId)).toSorted(inOrderOfPicks);
  const place = order.findIndex(node => node.serverId === pickedId);
  const picked = order[place];
  if (picked === undefined) return 'it was not in the heap when that was read, just before the pick';
  const score = `score ${formatScore(picked.score)}`;
  if (order.length === 1) return `${score}, the only one in the heap`;
  if (picked.newcomer) return `${score}; a newcomer stands at the root by rule`;
  const next = order[place === 0 ? 1 : 0];
  if (next === undefined) return score;
  if (place > 0) {
    // Other picks, reports, or a newcomer at its cap came between.
    return `${score}; ${next.serverId} with ${formatScore(next.score)} stood before it when the heap was read`;
  }
  const tie = next.score === picked.score ? ', picked longer ago than' : ', the lowest; next is';
  return `${score}${tie} ${next.serverId} with ${formatScore(next.score)}`;
}

function inOrderOfPicks(a: HeapNode, b: HeapNode): number {
  if (a.newcomer !== b.newcomer) return a.newcomer ? -1 : 1;
  return a.score - b.score;
}
