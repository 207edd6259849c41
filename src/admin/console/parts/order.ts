/** The order of a table's rows: of 10,000 of them, each second, in the time that a frame leaves. */
import { useEffect, useRef } from 'preact/hooks';

export interface Sorting {
  readonly key: string;
  readonly down: boolean;
}

export interface Sortable<T> {
  readonly key: string;
  readonly sort?: (row: T) => number | string | null;
}

/** Rows change places under nobody's pointer: while it is over the table, the order stays. */
export function useOrder<T>(
  rows: readonly T[],
  columns: readonly Sortable<T>[],
  sorting: Sorting | undefined,
  keyOf: (row: T) => string,
  scroller: { readonly current: HTMLDivElement | null },
): readonly T[] {
  const held = useRef<{ readonly of: Sorting | undefined; readonly at: ReadonlyMap<string, number> }>(
    undefined,
  );
  const over = useRef(false);
  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const enter = (): void => {
      over.current = true;
    };
    const leave = (): void => {
      over.current = false;
    };
    element.addEventListener('pointerenter', enter);
    element.addEventListener('pointerleave', leave);
    return () => {
      element.removeEventListener('pointerenter', enter);
      element.removeEventListener('pointerleave', leave);
    };
  }, [scroller]);
  const sort = columns.find(column => column.key === sorting?.key)?.sort;
  if (sort === undefined || sorting === undefined) return rows;
  const { current } = held;
  if (over.current && current !== undefined && current.of === sorting) {
    const { at } = current;
    return sorted(rows, row => at.get(keyOf(row)) ?? null, false, keyOf);
  }
  const ordered = sorted(rows, sort, sorting.down, keyOf);
  held.current = { of: sorting, at: new Map(ordered.map((row, i) => [keyOf(row), i])) };
  return ordered;
}

/** Unknown ones come last, equal ones by their key. */
function sorted<T>(
  rows: readonly T[],
  sort: (row: T) => number | string | null,
  down: boolean,
  keyOf: (row: T) => string,
): T[] {
  const keyed = rows.map(row => {
    const value = sort(row);
    return { row, value: typeof value === 'string' ? ordinal(value) : value, key: ordinal(keyOf(row)) };
  });
  const sign = down ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.value !== b.value) {
      if (a.value === null) return 1;
      if (b.value === null) return -1;
      return a.value < b.value ? -sign : sign;
    }
    return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
  });
  return keyed.map(({ row }) => row);
}

const ordinals = new Map<string, string>();
const MOST_ORDINALS = 50_000;

/** A text that compares as people count: `server-9` before `server-10`. A collator takes ten times as long. */
function ordinal(text: string): string {
  let found = ordinals.get(text);
  if (found === undefined) {
    found = text.toLowerCase().replace(/\d+/g, digits => digits.padStart(12, '0'));
    if (ordinals.size >= MOST_ORDINALS) ordinals.clear();
    ordinals.set(text, found);
  }
  return found;
}
