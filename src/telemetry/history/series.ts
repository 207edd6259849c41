/** The series that the history keeps, by what they are of. */

/** How a point of the far past follows from several of the near past. */
export type Fold = 'mean' | 'max';

export interface SeriesInfo {
  readonly unit: '1/s' | 'ms' | 'bytes' | 'bytes/s' | 'calls' | 'ratio' | 's' | 'count';
  readonly fold: Fold;
  /** What it is, for the one who reads a chart. */
  readonly about: string;
}

const foldedBy =
  (fold: Fold) =>
  (unit: SeriesInfo['unit'], about: string): SeriesInfo => ({ unit, fold, about });
const mean = foldedBy('mean');
const max = foldedBy('max');

/** Of one backend, over all its pools. */
export const BACKEND_SERIES = {
  rps: mean('1/s', 'attempts that this instance sent there and that ended'),
  errors: mean('1/s', 'those that failed by the fault of the backend'),
  p50: mean('ms', 'median time of an attempt'),
  p99: max('ms', '99th percentile of it'),
  inFlight: mean('calls', 'calls of this instance in flight, relayed and leased'),
  others: mean('calls', 'calls of others in flight, estimated'),
  utilization: mean('ratio', 'as the backend reported it'),
  reportedRps: mean('1/s', 'calls a second as the backend reported them'),
  capacity: mean('1/s', 'calls a second at utilization 1, learned'),
  queue: max('calls', 'calls that wait for a stream'),
  connections: max('count', 'connections to it'),
  streamsFull: max('count', 'connections with no stream left by its limit'),
  blocked: max('count', 'connections on which calls wait for the backend to read'),
  score: mean('s', 'expected wait by its score, in its first pool'),
  failure: mean('ratio', 'share of failed calls, decayed, as the score has it'),
  reportAge: max('ms', 'age of its last load report'),
  reportInterval: mean('ms', 'time between its load reports'),
  picks: mean('1/s', 'picks of it, by proxy and lookaside'),
} as const satisfies Readonly<Record<string, SeriesInfo>>;

/** Of one pool. */
export const POOL_SERIES = {
  rps: mean('1/s', 'calls of callers that ended'),
  errors: mean('1/s', 'those that ended by a fault of the pool'),
  p50: mean('ms', 'median time of a call as its caller sees it'),
  p99: max('ms', '99th percentile of it'),
  inFlight: mean('calls', 'calls of this instance in flight'),
  queue: max('calls', 'calls that wait for a stream, or because every backend is full'),
  utilization: mean('ratio', 'mean of the eligible backends that report it'),
  utilizationMax: max('ratio', 'the highest of them'),
  size: mean('count', 'backends in it'),
  eligible: mean('count', 'backends that may be picked by their state'),
  heap: mean('count', 'backends that stand in the heap'),
  stale: max('count', 'eligible backends that report and are late with it'),
  reportLag: max('ms', 'by how much the load report that is overdue most is late'),
  scoreLow: mean('s', 'least score in the heap: that of its root'),
  scoreHigh: mean('s', 'highest score in the heap'),
  spread: mean('ratio', 'calls in flight of the busiest eligible backend over the mean, by capacity'),
  rootChanges: mean('1/s', 'picks that took another backend than the pick before'),
  picks: mean('1/s', 'picks, by proxy and lookaside'),
  retries: mean('1/s', 'attempts beyond the first'),
  refused: mean('1/s', 'calls that no backend could be picked for'),
} as const satisfies Readonly<Record<string, SeriesInfo>>;

/** Of this instance. */
export const INSTANCE_SERIES = {
  rps: mean('1/s', 'calls of callers that ended'),
  errors: mean('1/s', 'those that ended by a fault of ours or of a backend'),
  p50: mean('ms', 'median time of a call as its caller sees it'),
  p99: max('ms', '99th percentile of it'),
  inFlight: mean('calls', 'calls in flight'),
  queue: max('calls', 'calls that wait for a stream'),
  connections: mean('count', 'connections of callers'),
  stalledCallers: max('count', 'connections of callers that do not read what their calls are answered'),
  upstreams: mean('count', 'connections to backends'),
  received: mean('bytes/s', 'messages from callers'),
  sent: mean('bytes/s', 'messages to callers'),
  picks: mean('1/s', 'answers of PickServer'),
  reports: mean('1/s', 'load reports taken in'),
  loopDelay: max('ms', '99th percentile of how late the event loop was'),
  loopDelayMax: max('ms', 'the longest that the event loop was late'),
  loopBusy: mean('ratio', 'share of the time that the event loop was at work'),
  cpu: mean('ratio', 'processor time of this process over time: 1 is one core'),
  memory: mean('bytes', 'resident memory'),
  heapUsed: mean('bytes', 'memory of JavaScript objects in use'),
  spansDropped: mean('1/s', 'spans that the collector did not take'),
  gc: mean('ratio', 'share of the time that was spent in garbage collection'),
  logPending: max('count', 'changes that the log has not kept yet'),
  logBehind: mean('ratio', '1 while the log is behind or keeps nothing'),
} as const satisfies Readonly<Record<string, SeriesInfo>>;

export type BackendSeries = keyof typeof BACKEND_SERIES;
export type PoolSeries = keyof typeof POOL_SERIES;
export type InstanceSeries = keyof typeof INSTANCE_SERIES;

/** Series by what they are of; the key is a service, a backend's id, or empty for the instance. */
export const SERIES = {
  instance: INSTANCE_SERIES,
  pool: POOL_SERIES,
  backend: BACKEND_SERIES,
} as const satisfies Readonly<Record<string, Readonly<Record<string, SeriesInfo>>>>;

export type Scope = keyof typeof SERIES;
