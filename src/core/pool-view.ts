/** A pool as people and tests see it: its heap with scores and terms, and whether all of it fits together. */
import { IndexedHeap } from './heap.ts';
import type { Pool } from './pool.ts';

export interface HeapNodeView {
  readonly slot: number;
  /** Seconds of expected wait; what the key would be without the root rule. */
  readonly score: number;
  readonly newcomer: boolean;
  readonly terms: Record<string, number>;
}

export interface HeapView {
  readonly zone: string;
  readonly arity: number;
  /** In the order of the heap's array. */
  readonly nodes: HeapNodeView[];
}

/** @param most nodes, the first ones; all of them where it is left out */
export function heapView(
  pool: Pool,
  now: number,
  zoneName: string,
  most = Number.POSITIVE_INFINITY,
): HeapView {
  const zone = zoneName === '' ? (pool.bestZone() ?? pool.zones[0]) : pool.zoneNamed(zoneName);
  const nodes: HeapNodeView[] = [];
  if (zone === undefined) return { zone: zoneName, arity: 0, nodes };
  const end = Math.min(most, zone.order.size);
  for (let position = 0; position < end; position++) {
    const member = zone.order.itemAt(position);
    const slot = pool.slots[member] as number;
    nodes.push({
      slot,
      score: pool.scoreOf(slot),
      newcomer: zone.order.isRootByRule(member),
      terms: pool.scores.terms(member, slot, now),
    });
  }
  return { zone: zone.name, arity: IndexedHeap.ARITY, nodes };
}

/** Checks every structure of a pool against the others; throws with what is wrong. */
export function verifyPool(pool: Pool): void {
  for (const zone of pool.zones) zone.verify();
  for (const slot of pool.members()) {
    const member = pool.memberAt(slot);
    const zone = pool.zoneAt(member);
    const where = `pool ${pool.service}, slot ${slot}`;
    if (pool.slots[member] !== slot) throw new Error(`${where}: member ${member} has another slot`);
    const placed = Number(zone.order.has(member)) + Number(zone.capped.has(member));
    if (pool.isOut(member) && placed !== 0) throw new Error(`${where}: not eligible, yet in a heap`);
    if (!pool.isOut(member) && pool.hasRoom(member) !== (placed === 1)) {
      throw new Error(`${where}: has room ${pool.hasRoom(member)}, placed ${placed} times`);
    }
    const key = zone.order.keyOf(member);
    const score = pool.keyOf(member);
    if (zone.order.has(member) && !zone.order.isRootByRule(member) && key !== score) {
      throw new Error(`${where}: key ${key}, score ${score}`);
    }
  }
  pool.scores.verify(pool);
}
