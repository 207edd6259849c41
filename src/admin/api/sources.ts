/** What the console is told of, as ports: who wires hands in what there is. */
import type { Mesh } from '../../core/mesh.ts';
import type { CallInfo, Connections } from '../wire.ts';

/** The history of figures; `telemetry/history.ts` is one. */
export interface HistoryPort {
  /** Time between two points of the near past, ms. */
  readonly stepMs: number;
  /** Grows by one a step. */
  readonly steps: number;
  /** The last point of a series; NaN where there is none. */
  last(scope: 'instance' | 'pool' | 'backend', key: string, name: string): number;
  read(
    scope: 'instance' | 'pool' | 'backend',
    key: string,
    spanMs: number,
    names?: readonly string[],
  ):
    | {
        readonly stepMs: number;
        readonly times: readonly number[];
        readonly values: Readonly<
          Record<string, ArrayLike<number> & { at(index: number): number | undefined }>
        >;
      }
    | undefined;
}

/** Calls that failed or were slow, a bounded number of them. */
export interface CallsPort {
  /** Those behind the one with this number, oldest first. */
  after(n: number): readonly CallInfo[];
}

export interface Gauges {
  readonly connections: number;
  readonly calls: number;
  readonly reporters: number;
  readonly watches: number;
}

export interface Sources {
  readonly mesh: Mesh;
  readonly instance: { readonly id: string; readonly zone: string };
  readonly version: string;
  readonly addresses: { readonly proxy: string; readonly control: string };
  /** Wall clock, ms. */
  readonly wall: () => number;
  readonly settings: () => { readonly writes: boolean; readonly traceLink: string | undefined };
  readonly history: HistoryPort | undefined;
  readonly calls: CallsPort;
  readonly gauges: () => Gauges;
  readonly connections: () => Connections;
}
