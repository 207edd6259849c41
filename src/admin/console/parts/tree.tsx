/** The heap as the tree that it is: nodes glide to their new places as scores move. */
import { useMemo, useRef, useState } from 'preact/hooks';
import { type Heap, Place } from '../../wire.ts';
import { count, duration, fit, percent, plural } from '../format.ts';
import { type Backend, loadOf, type Store } from '../store.ts';
import { fitting, layOut, type Spot } from './tree-layout.ts';
import { useWidth } from './use-width.ts';

interface TreeProps {
  readonly store: Store;
  readonly heap: Heap;
  readonly onOpen: (id: string) => void;
}

/** Characters a pixel of the fonts in use, about. */
const CARD_CHARS = 1 / 7.4;
const CHIP_CHARS = 1 / 6.4;

export function Tree({ store, heap, onOpen }: TreeProps) {
  const place = useRef<HTMLDivElement>(null);
  const width = useWidth(place);
  const [focused, setFocused] = useState('');
  const shown = fitting(heap.nodes.length, heap.arity, width);
  const layout = useMemo(() => layOut(shown, heap.arity, width), [shown, heap.arity, width]);
  const backends = heap.nodes.slice(0, shown).map(row => store.rows.get(row));
  const scores = backends.flatMap(backend => loadOf(backend, 'score') ?? []);
  const low = Math.min(...scores);
  const high = Math.max(...scores);
  const heat = (backend: Backend): number => {
    const score = loadOf(backend, 'score') ?? low;
    return high > low ? Math.round((100 * (score - low)) / (high - low)) : 0;
  };
  const ids = backends.map(backend => backend?.id ?? '');
  const current = Math.max(0, ids.indexOf(focused));

  const move = (event: KeyboardEvent): void => {
    const to = neighbour(event.key, current, heap.arity, shown);
    if (to === undefined) return;
    event.preventDefault();
    const id = ids[to] ?? '';
    setFocused(id);
    place.current?.parentElement?.querySelector<SVGGElement>(`[data-id="${CSS.escape(id)}"]`)?.focus();
  };

  // By id, so that the same element moves with its server; those that do not glide beneath, so that they are one layer.
  const isDot = (i: number): number => (layout.spots[i]?.shape === 'dot' ? 0 : 1);
  const order = backends
    .map((_, i) => i)
    .sort((a, b) => isDot(a) - isDot(b) || ((ids[a] as string) < (ids[b] as string) ? -1 : 1));
  return (
    <div class="tree">
      <div ref={place} class="tree-width" />
      {heap.size === 0 && (
        <p class="empty">The heap is empty: no server of this pool stands by its score now.</p>
      )}
      {width > 0 && heap.size > 0 && (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset does not exist within an SVG, nor around its parts alone
        <svg
          width={width}
          height={layout.height}
          viewBox={`0 0 ${width} ${layout.height}`}
          role="group"
          aria-label={`Heap of ${plural(heap.size, 'server')}; the root, ${ids[0]}, takes the next call. Arrow keys move between nodes.`}
          onKeyDown={move}
        >
          <g class="edges">
            {layout.spots.map((spot, i) => {
              const parent = layout.spots[spot.parent];
              return parent === undefined ? null : <path key={i} d={edge(parent, spot)} />;
            })}
          </g>
          {order.map(i => {
            const backend = backends[i];
            const spot = layout.spots[i];
            if (backend === undefined || spot === undefined) return null;
            return (
              <Node
                key={backend.id}
                backend={backend}
                spot={spot}
                isRoot={i === 0}
                heat={heat(backend)}
                isCurrent={i === current}
                onOpen={onOpen}
              />
            );
          })}
        </svg>
      )}
      {heap.size > shown && (
        <p class="tree-more">
          {count(heap.size - shown)} more below, each with a higher score than its parent
        </p>
      )}
    </div>
  );
}

interface NodeProps {
  readonly backend: Backend;
  readonly spot: Spot;
  readonly isRoot: boolean;
  readonly heat: number;
  readonly isCurrent: boolean;
  readonly onOpen: (id: string) => void;
}

function Node({ backend, spot, isRoot, heat, isCurrent, onOpen }: NodeProps) {
  const { width, height, shape } = spot;
  const isNewcomer = loadOf(backend, 'place') === Place.NEWCOMER;
  const score = isNewcomer ? 'newcomer' : duration(loadOf(backend, 'score'));
  const inFlight = (loadOf(backend, 'own') ?? 0) + (loadOf(backend, 'others') ?? 0);
  const utilization = loadOf(backend, 'utilization');
  const chars = Math.max(
    3,
    Math.floor(shape === 'card' ? (width - 20) * CARD_CHARS : (width - 8) * CHIP_CHARS),
  );
  const name = shape === 'dot' ? backend.id : fit(backend.id, chars);
  // As much of it as there is room for beside the score.
  const calls = Math.round(inFlight);
  const flight = width >= 172 ? `${count(calls)} in flight` : width >= 136 ? plural(calls, 'call') : '';
  // It begins with what is seen: WCAG 2.5.3.
  const label = [
    shape === 'card' ? `${name} ${score} ${flight}` : name,
    ...(name === backend.id ? [] : [backend.id]),
    ...(isRoot ? ['root: takes the next call'] : []),
    ...(shape === 'card' ? [] : [score]),
    `${count(calls)} in flight`,
    `utilization ${percent(utilization)}`,
    backend.state.toLowerCase(),
  ].join(', ');
  const classes = ['node', shape, `state-${backend.state.toLowerCase()}`];
  if (isRoot) classes.push('root');
  if (isNewcomer) classes.push('newcomer');
  return (
    // biome-ignore lint/a11y/useSemanticElements: HTML's button does not exist within an SVG
    <g
      class={classes.join(' ')}
      style={{ transform: `translate(${spot.x}px, ${spot.y}px)`, '--heat': `${heat}%` }}
      role="button"
      tabindex={isCurrent ? 0 : -1}
      aria-label={label}
      data-id={backend.id}
      onClick={() => onOpen(backend.id)}
      onKeyDown={event => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        onOpen(backend.id);
      }}
    >
      <title>{label}</title>
      {isNewcomer && (
        <rect
          class="halo"
          x={-width / 2 - 5}
          y={-height / 2 - 5}
          width={width + 10}
          height={height + 10}
          rx="12"
        />
      )}
      <rect
        class="box"
        x={-width / 2}
        y={-height / 2}
        width={width}
        height={height}
        rx={shape === 'dot' ? width / 2 : 8}
      />
      {shape === 'card' && (
        <>
          <text class="name" x={-width / 2 + 12} y={-8}>
            {`${name} `}
          </text>
          <text class="score" x={-width / 2 + 12} y={10}>
            {`${score} `}
          </text>
          <text class="detail" x={width / 2 - 12} y={10}>
            {flight}
          </text>
          <rect class="bar-back" x={-width / 2 + 12} y={17} width={width - 24} height={3} rx="1.5" />
          <rect
            class="bar"
            x={-width / 2 + 12}
            y={17}
            width={(width - 24) * Math.max(0, Math.min(1, utilization ?? 0))}
            height={3}
            rx="1.5"
          />
        </>
      )}
      {shape === 'chip' && (
        <text class="name" x={0} y={4}>
          {`${name} `}
        </text>
      )}
    </g>
  );
}

function edge(from: Spot, to: Spot): string {
  const y0 = from.y + from.height / 2;
  const y1 = to.y - to.height / 2;
  const middle = (y0 + y1) / 2;
  return `M${from.x} ${y0}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${y1}`;
}

function neighbour(key: string, at: number, arity: number, size: number): number | undefined {
  const to = {
    ArrowUp: at === 0 ? -1 : Math.floor((at - 1) / arity),
    ArrowDown: at * arity + 1,
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    Home: 0,
    End: size - 1,
  }[key];
  return to !== undefined && to >= 0 && to < size ? to : undefined;
}
