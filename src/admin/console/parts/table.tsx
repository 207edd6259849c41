// biome-ignore-all lint/a11y/useSemanticElements: elements of a table cannot leave out the rows that are not in sight
/**
 * A table of any length: only the rows in sight are there. It is one stop of the Tab key; arrows move
 * within it (https://www.w3.org/WAI/ARIA/apg/patterns/grid/).
 */
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { type Sorting, useOrder } from './order.ts';

export interface Column<T> {
  readonly key: string;
  readonly label: string;
  /** What it means, for who points at it. */
  readonly about?: string;
  /** Of CSS grid, such as `minmax(8rem, 2fr)`. */
  readonly width: string;
  readonly align?: 'end';
  /** Shown where there is room: 1 always, 2 on a tablet, 3 on a wide screen alone. */
  readonly rank: 1 | 2 | 3;
  readonly cell: (row: T) => ComponentChildren;
  /** Without it the column cannot be sorted by; unknown ones come last. */
  readonly sort?: (row: T) => number | string | null;
}

interface TableProps<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly onOpen?: (row: T) => void;
  /** What Enter does where a click on a row does something else, or nothing. */
  readonly onEnter?: (row: T) => void;
  /** Where nothing is chosen. Without it rows come as they are. */
  readonly sorting?: Sorting;
  readonly empty: string;
  readonly class?: string;
  readonly selected?: string;
}

const ROW = 32;
const BEYOND = 8;

export function Table<T>(props: TableProps<T>) {
  const { label, rows, keyOf, onOpen, onEnter = onOpen, empty, class: name = '', selected } = props;
  const id = useId();
  const scroller = useRef<HTMLDivElement>(null);
  const [sorting, setSorting] = useState(props.sorting);
  const [view, setView] = useState({ top: 0, height: 400, width: 1_200 });
  const [active, setActive] = useState('');
  const columns = props.columns.filter(
    column => column.rank <= (view.width >= 1_040 ? 3 : view.width >= 640 ? 2 : 1),
  );
  const ordered = useOrder(rows, props.columns, sorting, keyOf, scroller);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const measure = (): void =>
      setView({ top: element.scrollTop, height: element.clientHeight, width: element.clientWidth });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, []);

  const from = Math.max(0, Math.floor(view.top / ROW) - BEYOND);
  const to = Math.min(ordered.length, Math.ceil((view.top + view.height) / ROW) + BEYOND);
  const grid = columns.map(column => column.width).join(' ');
  const rowId = (key: string): string => `${id}-${key}`;
  const activeAt = ordered.findIndex(row => keyOf(row) === active);

  const sortBy = ({ key, align }: Column<T>): void =>
    setSorting(before => ({ key, down: before?.key === key ? !before.down : align === 'end' }));
  /** Left and right: by the column before or behind; space: the other way round. */
  const sortByKey = (pressed: string): boolean => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ' ': 0 }[pressed];
    if (step === undefined) return false;
    const sortable = columns.filter(({ sort }) => sort !== undefined);
    const at = sortable.findIndex(({ key }) => key === sorting?.key);
    const column = sortable[Math.max(0, at) + step];
    if (column !== undefined) sortBy(column);
    return true;
  };
  const move = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget) return;
    const page = Math.max(1, Math.floor(view.height / ROW) - 2);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 }[event.key];
    const row = ordered[activeAt];
    if (event.key === 'Enter' && row !== undefined) onEnter?.(row);
    if (sortByKey(event.key)) event.preventDefault();
    if (by === undefined || ordered.length === 0) return;
    event.preventDefault();
    const next = activeAt < 0 ? 0 : Math.max(0, Math.min(ordered.length - 1, activeAt + by));
    setActive(keyOf(ordered[next] as T));
    const element = scroller.current;
    if (element === null) return;
    // Below the head, which sticks.
    if (next * ROW < element.scrollTop) element.scrollTop = next * ROW;
    const bottom = (next + 2) * ROW - element.clientHeight;
    if (bottom > element.scrollTop) element.scrollTop = bottom;
  };

  return (
    <div class={`table ${name}`}>
      <div
        ref={scroller}
        class="table-scroll"
        role="grid"
        tabIndex={0}
        aria-label={label}
        aria-rowcount={ordered.length + 1}
        aria-colcount={columns.length}
        aria-activedescendant={activeAt >= from && activeAt < to ? rowId(active) : undefined}
        onKeyDown={move}
        onFocus={event => {
          if (event.target === event.currentTarget && activeAt < 0 && ordered.length > 0) {
            setActive(keyOf(ordered[from > 0 ? from + BEYOND : 0] as T));
          }
        }}
      >
        {/* biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus, and says which row is meant */}
        <div role="row" class="table-head" style={{ gridTemplateColumns: grid }} aria-rowindex={1}>
          {columns.map(column => (
            <Head key={column.key} column={column} sorting={sorting} onSort={() => sortBy(column)} />
          ))}
        </div>
        <div role="rowgroup" class="table-body" style={{ height: `${ordered.length * ROW}px` }}>
          {ordered.slice(from, to).map((row, i) => {
            const key = keyOf(row);
            const classes = [key === active ? 'active' : '', key === selected ? 'selected' : ''];
            return (
              // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus, and says which row is meant
              // biome-ignore lint/a11y/useKeyWithClickEvents: the grid's keys do the same
              <div
                key={key}
                id={rowId(key)}
                role="row"
                aria-rowindex={from + i + 2}
                aria-selected={key === selected}
                class={`table-row ${classes.join(' ')}`}
                style={{ gridTemplateColumns: grid, transform: `translateY(${(from + i) * ROW}px)` }}
                onClick={() => {
                  setActive(key);
                  onOpen?.(row);
                }}
              >
                {columns.map(column => (
                  // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus, and says which row is meant
                  <div
                    key={column.key}
                    role="gridcell"
                    class={`cell ${column.align ?? ''} col-${column.key}`}
                  >
                    {column.cell(row)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
      {ordered.length === 0 && <p class="empty">{empty}</p>}
    </div>
  );
}

interface HeadProps<T> {
  readonly column: Column<T>;
  readonly sorting: Sorting | undefined;
  readonly onSort: () => void;
}

function Head<T>({ column, sorting, onSort }: HeadProps<T>) {
  const { key, label, about, align = '', sort } = column;
  const order = sorting?.key !== key ? 'none' : sorting.down ? 'descending' : 'ascending';
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: what can be used in it is the button
    <div
      role="columnheader"
      class={`cell ${align}`}
      aria-sort={sort === undefined ? undefined : order}
      title={about}
    >
      {sort === undefined ? (
        label
      ) : (
        <button type="button" class="sort" data-order={order} onClick={onSort} tabIndex={-1}>
          {label}
        </button>
      )}
    </div>
  );
}
