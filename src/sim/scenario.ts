/**
 * What is simulated: servers, calls, callers, reports, and what happens to them. Times are ms. All is
 * plain data, so that a scenario can come from a YAML file (`config/scenario.ts`).
 */

export interface ServerGroup {
  readonly count: number;
  /** Calls served at once; more wait in the server, first come, first served. */
  readonly slots: number;
  /** Work done a ms; 4 serves a call of 20 ms in 5. */
  readonly speed: number;
  readonly zone: string;
  /** 0 is no limit. */
  readonly maxConcurrency: number;
  readonly standby: boolean;
  readonly reports: Reports;
}

export interface Reports {
  /** False: these servers report nothing. */
  readonly sent: boolean;
  /** False: reports say no number of calls in flight. */
  readonly inFlight: boolean;
  /** What is told in place of what is so. */
  readonly claimUtilization?: number;
  readonly claimInFlight?: number;
  /** Standard deviation of the logarithm of an error on the utilization: a real CPU figure is noisy. */
  readonly noise: number;
  /** Utilization is told as its power: a real CPU figure is not linear. 1 is linear. */
  readonly power: number;
}

export type Law =
  | { readonly kind: 'exponential' }
  | { readonly kind: 'fixed' }
  | { readonly kind: 'lognormal'; readonly sigma: number }
  | { readonly kind: 'pareto'; readonly alpha: number; readonly range: number };

export interface Method {
  readonly share: number;
  /** Mean time to serve a call at speed 1, ms. */
  readonly meanMs: number;
  readonly law: Law;
}

export interface Load {
  /** Share of the capacity that all servers have together; used where there is no `rate`. */
  readonly utilization: number;
  /** Calls a second; 0: by utilization. */
  readonly rate: number;
  /** Arrivals that come in bursts: for `onMs` this many times as many as for the `offMs` that follow. */
  readonly burst?: { readonly factor: number; readonly onMs: number; readonly offMs: number };
  /** Arrivals as they were recorded: gap since the one before, and, where known, time to serve it. */
  readonly trace?: { readonly gapMs: Float64Array; readonly serviceMs?: Float64Array };
  /** Share of the calls that come to the first balancer, over an equal part of the others; 0: all equal. */
  readonly skew: number;
}

/** Something that befalls servers. `servers` are indexes in the order of the groups. */
export type Happening = {
  readonly atMs: number;
  /** When it ends; absent: it does not. */
  readonly untilMs?: number;
  readonly servers: readonly number[];
} & (
  | { readonly kind: 'slow'; readonly factor: number }
  /** Calls fail after `afterMs`; `share` of them. */
  | { readonly kind: 'fail'; readonly share: number; readonly afterMs: number }
  /** Serves nothing, answers nothing, reports nothing. */
  | { readonly kind: 'hang' }
  /** Reports nothing. */
  | { readonly kind: 'silent' }
  /** Ends with all its calls; nobody answers until `untilMs`, when it begins anew. */
  | { readonly kind: 'down' }
  /** Is not there before `atMs`; then comes, `factor` times as fast for the first `coldMs`. */
  | { readonly kind: 'join'; readonly factor: number; readonly coldMs: number }
  /** Stops taking calls and goes when it is empty. */
  | { readonly kind: 'drain' }
);

/** So large a share of the servers is slowed; which ones is drawn anew each `everyMs`. */
export interface Antagonists {
  readonly share: number;
  readonly factor: number;
  readonly everyMs: number;
}

/** Changes of the rate of calls. */
export interface Surge {
  readonly atMs: number;
  readonly untilMs: number;
  readonly factor: number;
}

/** The threshold rule, which activates standby servers and drains what was added. */
export interface Scaling {
  readonly threshold: number;
  readonly forMs: number;
  readonly cooldownMs: number;
  readonly scaleInBelow: number;
  readonly stableMs: number;
  readonly max: number;
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly servers: readonly ServerGroup[];
  readonly balancers: number;
  /** Zones of the balancers, in turn; empty: none has one. */
  readonly balancerZones: readonly string[];
  readonly methods: readonly Method[];
  /** `slots`: a call has a slot to itself, others wait. `shared`: all are served at once, each slower. */
  readonly discipline: 'slots' | 'shared';
  readonly load: Load;
  readonly reportMs: number;
  /** One way, between caller's balancer and server. */
  readonly delayMs: number;
  /** The same between zones. */
  readonly crossZoneMs: number;
  /** 0: callers wait for ever. */
  readonly deadlineMs: number;
  readonly happenings: readonly Happening[];
  readonly antagonists?: Antagonists;
  readonly surges: readonly Surge[];
  readonly scaling?: Scaling;
  /** Calls at 35 % of the rate before anything is measured. */
  readonly warmUpMs: number;
  /** What is measured: calls that begin from then on, until a time or for a number of calls. */
  readonly fromMs: number;
  readonly untilMs: number;
  readonly calls: number;
  /** Most calls that wait at one balancer while nobody can take them; 0: they fail. Peers have no limit. */
  readonly waiting: number;
}

/** Work per second that a server group does at full speed, in seconds of work at speed 1. */
function capacityOf(group: ServerGroup): number {
  return group.count * group.slots * group.speed;
}

/** Mean time to serve a call at speed 1, ms. */
function meanServiceMs(scenario: Scenario): number {
  const shares = scenario.methods.reduce((sum, method) => sum + method.share, 0);
  return scenario.methods.reduce((sum, method) => sum + (method.share / shares) * method.meanMs, 0);
}

/** Calls a second that come once the warm-up is over. */
export function rateOf(scenario: Scenario): number {
  if (scenario.load.rate > 0) return scenario.load.rate;
  const capacity = scenario.servers.reduce((sum, group) => sum + (group.standby ? 0 : capacityOf(group)), 0);
  return (scenario.load.utilization * capacity * 1000) / meanServiceMs(scenario);
}
