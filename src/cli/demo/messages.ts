/** What the processes of the demo say to each other over Node's IPC channel. */

/** How a demo backend behaves. */
export interface BackendSettings {
  readonly id: string;
  /** Control address of the balancer. */
  readonly balancer: string;
  /** Mean service time, ms; exponentially distributed. */
  readonly serviceMs: number;
  /** Calls served at once; the others wait in line. */
  readonly slots: number;
  readonly standby: boolean;
}

export type BackendMessage =
  | { readonly kind: 'ready'; readonly address: string }
  | { readonly kind: 'failed'; readonly message: string };

/** How callers reach the backends. */
export type Route =
  | { readonly via: 'lookaside'; readonly balancer: string }
  | { readonly via: 'proxy'; readonly address: string }
  | { readonly via: 'round-robin'; readonly addresses: readonly string[] };

export type CallerCommand =
  | { readonly kind: 'route'; readonly route: Route }
  /** Calls a second, in all; 0 stops. */
  | { readonly kind: 'rate'; readonly rate: number };

/** A call that failed, and where it was. */
export interface FailedCall {
  readonly status: string;
  readonly details: string;
  /** Wall clock, ms since 1970. */
  readonly beganAt: number;
  /** Address that it was sent to; the channel's target where it was sent to none. */
  readonly peer: string;
}

/** Calls that ended since the last message. */
export interface CallerReport {
  readonly kind: 'calls';
  /** By id of the server that answered. */
  readonly served: Readonly<Record<string, number>>;
  /** By gRPC status name. */
  readonly failed: Readonly<Record<string, number>>;
  /** The same calls one by one, but for those that were never begun; the first so many. */
  readonly failures: readonly FailedCall[];
  /** Latencies of served calls from the time they were due, ms. */
  readonly latencies: readonly number[];
  /** Calls that have begun and not ended. */
  readonly open: number;
}

export type CallerMessage =
  | CallerReport
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly message: string };
