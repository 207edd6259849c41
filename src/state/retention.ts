/** Lets go of files of the log that nothing needs any more. */
import type { Files } from './files.ts';
import { namesAmong } from './format.ts';
import { readHead } from './scan.ts';

/**
 * Removes the oldest files whose entries are all in the newest snapshot, as long as those that are left
 * behind it have more octets than `historyOctets`; then the snapshots that lie before what is left.
 * Returns the names that went. A crash in between leaves less history, and never a hole behind the snapshot.
 */
export async function cutHistory(
  files: Files,
  { present, historyOctets }: { readonly present: number; readonly historyOctets: number },
): Promise<string[]> {
  const { logs, snapshots } = namesAmong(await files.list());
  const newest = snapshots.at(-1);
  if (newest === undefined) return [];
  const all: { name: string; first: number; octets: number; sequence: number }[] = [];
  for (const { name, sequence } of logs) {
    const head = await readHead(files, name);
    const file = await files.open(name, 'read');
    const octets = await file.size().finally(() => file.close());
    all.push({ name, sequence, octets, first: head?.first ?? Number.POSITIVE_INFINITY });
  }
  let history = 0;
  for (const { octets } of all) history += octets;
  const removed: string[] = [];
  let oldest = all[0]?.first ?? 0;
  for (const [i, { name, octets, sequence }] of all.entries()) {
    const next = all[i + 1];
    // All of its entries are in the snapshot where those of the next file begin at or before its position.
    const needed = next === undefined || sequence >= present || next.first > newest.position + 1;
    if (needed || history <= historyOctets) break;
    await files.remove(name);
    removed.push(name);
    history -= octets;
    oldest = next.first;
  }
  // The last one before the oldest entry is what those entries go on from.
  const before = snapshots.filter(({ position }) => position < oldest);
  for (const { name } of before.slice(0, -1)) {
    if (name === newest.name) continue;
    await files.remove(name);
    removed.push(name);
  }
  if (removed.length > 0) await files.sync();
  return removed;
}
