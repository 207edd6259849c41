/** What the processes of this benchmark tell each other. */

export const SERVICE = 'echo.v1.EchoService';
export const METHOD = `/${SERVICE}/Echo`;

export interface BackendSettings {
  readonly id: string;
  /** Calls served at once; the others wait, first come first served. */
  readonly slots: number;
  /** Mean of the exponentially distributed service time, ms. */
  readonly serviceMs: number;
  /** Control addresses of the balancers that it reports to. */
  readonly balancers: readonly string[];
}

export type BackendCommand =
  /** Multiplies service times from the next call on; 1 is as begun. */
  | { readonly kind: 'slowness'; readonly factor: number }
  /** Fails every call with UNAVAILABLE after 1 ms, or serves again. */
  | { readonly kind: 'failing'; readonly on: boolean };

export type BackendMessage = { readonly kind: 'ready'; readonly address: string };

/** How the caller reaches the backends. */
export type Route =
  | { readonly kind: 'proxy'; readonly address: string }
  | { readonly kind: 'heapmesh'; readonly control: string }
  | { readonly kind: 'weighted-round-robin'; readonly addresses: readonly string[] }
  /** A channel a backend, each call on one of them at random: callers that are tied to a server each. */
  | { readonly kind: 'none'; readonly addresses: readonly string[] };

export interface CallerJob {
  /** The route's name: its channels are kept from run to run. */
  readonly name: string;
  readonly route: Route;
  /** Calls a second, Poisson arrivals. */
  readonly rate: number;
  /** What comes before counts for nothing, ms. */
  readonly warmMs: number;
  readonly measureMs: number;
}

export type CallerMessage =
  | { readonly kind: 'ready' }
  /** The measured part begins. */
  | { readonly kind: 'measuring' }
  | ({ readonly kind: 'done' } & CallerReport);

export interface CallerReport {
  /** From when a call was due to its answer, ms; of calls that were served. */
  readonly latencies: readonly number[];
  /** When each call that failed was due, ms into the measured part. */
  readonly failedAt: readonly number[];
  /** Calls served, by the server that said so. */
  readonly served: Readonly<Record<string, number>>;
}
