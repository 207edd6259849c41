/** Fleets, rates, and what happens to them within each run. */
import type { BackendCommand } from './messages.ts';

export interface Scenario {
  readonly name: string;
  /** One line for people. */
  readonly what: string;
  readonly backends: readonly { readonly slots: number; readonly serviceMs: number }[];
  /** Part of what all backends together can serve. */
  readonly load: number;
  /** What the first backend is told a quarter into the measured part of each run, and at its end. */
  readonly event?: { readonly begin: BackendCommand; readonly end: BackendCommand };
}

const times = (count: number, slots: number, serviceMs: number) =>
  Array.from({ length: count }, () => ({ slots, serviceMs }));

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'equal, one slot each',
    what: '8 servers that serve one call at a time, 20 ms on average',
    backends: times(8, 1, 20),
    load: 0.8,
  },
  {
    name: 'unequal speeds',
    what: '3 servers of 4 slots and 80 ms, 3 that are four times as fast',
    backends: [...times(3, 4, 80), ...times(3, 4, 20)],
    load: 0.8,
  },
  {
    name: 'one slows down',
    what: '6 servers of 4 slots and 40 ms; from a quarter of the run on one is ten times slower',
    backends: times(6, 4, 40),
    load: 0.7,
    event: { begin: { kind: 'slowness', factor: 10 }, end: { kind: 'slowness', factor: 1 } },
  },
  {
    name: 'one fails fast',
    what: '6 servers of 4 slots and 40 ms; from a quarter of the run on one fails each call within 1 ms',
    backends: times(6, 4, 40),
    load: 0.6,
    event: { begin: { kind: 'failing', on: true }, end: { kind: 'failing', on: false } },
  },
];

/** Calls a second that all of them can serve. */
export function capacityOf({ backends }: Scenario): number {
  return backends.reduce((sum, { slots, serviceMs }) => sum + (slots * 1000) / serviceMs, 0);
}
