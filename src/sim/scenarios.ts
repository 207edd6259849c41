/** Built-in scenarios. The model is the same in all: 10 servers of 8 slots, 20 ms a call, 80 % of capacity, a report each second. */
import type { Happening, Method, Reports, Scenario, ServerGroup } from './scenario.ts';

const TRUTHFUL: Reports = { sent: true, inFlight: true, noise: 0, power: 1 };

const SILENT: Reports = { ...TRUTHFUL, sent: false };

function group(count: number, more: Partial<ServerGroup> = {}): ServerGroup {
  return {
    count,
    slots: 8,
    speed: 1,
    zone: '',
    maxConcurrency: 0,
    standby: false,
    reports: TRUTHFUL,
    ...more,
  };
}

const EXPONENTIAL: readonly Method[] = [{ share: 1, meanMs: 20, law: { kind: 'exponential' } }];
/** Calls measured in a scenario in which nothing changes. */
const CALLS = 210_000;
const UNBOUNDED = Number.POSITIVE_INFINITY;

/** A scenario of which only what differs from the model is said. */
function scenario(name: string, about: string, more: Partial<Scenario> = {}): Scenario {
  const reportMs = more.reportMs ?? 1_000;
  const warmUpMs = more.warmUpMs ?? 11_000 + 1.2 * Math.min(reportMs, 10_000);
  return {
    name,
    about,
    servers: [group(10)],
    balancers: 16,
    balancerZones: [],
    methods: EXPONENTIAL,
    discipline: 'slots',
    load: { utilization: 0.8, rate: 0, skew: 0 },
    reportMs,
    delayMs: 0.25,
    crossZoneMs: 0.25,
    deadlineMs: 0,
    happenings: [],
    surges: [],
    fromMs: warmUpMs,
    untilMs: UNBOUNDED,
    calls: CALLS,
    waiting: UNBOUNDED,
    ...more,
    warmUpMs,
  };
}

/** A fault from 30 s to 60 s; measured from 30 s to 70 s. */
function fault(
  name: string,
  about: string,
  happenings: readonly Happening[],
  more: Partial<Scenario> = {},
): Scenario {
  return scenario(name, about, {
    happenings,
    fromMs: 30_000,
    untilMs: 70_000,
    calls: UNBOUNDED,
    ...more,
  });
}

const DURING = { atMs: 30_000, untilMs: 60_000, servers: [0] } as const;

const HEAVY: readonly Method[] = [{ share: 1, meanMs: 20, law: { kind: 'lognormal', sigma: 1.5 } }];
const SINGLE = group(10, { slots: 1 });

/** Nothing changes in these. */
const STEADY: readonly Scenario[] = [
  scenario('equal', '10 equal servers'),
  scenario('single-slot', '10 equal servers that serve one call at a time', { servers: [SINGLE] }),
  scenario('log-normal', 'service times with a heavy tail (log-normal, sigma 1.5)', { methods: HEAVY }),
  scenario('pareto', 'service times with a heavier tail (Pareto 1.5, range 1000)', {
    methods: [{ share: 1, meanMs: 20, law: { kind: 'pareto', alpha: 1.5, range: 1000 } }],
  }),
  scenario('shared', 'servers that share their processors among all calls, log-normal service', {
    methods: HEAVY,
    discipline: 'shared',
  }),
  scenario('half-fast', 'half of the servers four times as fast as the others', {
    servers: [group(5), group(5, { speed: 4 })],
  }),
  scenario('one-slow', 'one server ten times as slow', {
    servers: [group(1, { speed: 0.1 }), group(9)],
  }),
  scenario('bursts', 'calls in bursts: three times as many for 0.2 s of each second', {
    load: { utilization: 0.6, rate: 0, skew: 0, burst: { factor: 3, onMs: 200, offMs: 800 } },
  }),
  scenario('skewed', 'four balancers, one of which gets 70 % of the calls; single-slot servers', {
    servers: [SINGLE],
    balancers: 4,
    load: { utilization: 0.8, rate: 0, skew: 0.7 },
  }),
  scenario('two-methods', 'calls of 1 ms and, one in 20, of 1 s in one pool', {
    servers: [group(10, { slots: 32 })],
    methods: [
      { share: 0.95, meanMs: 1, law: { kind: 'exponential' } },
      { share: 0.05, meanMs: 1_000, law: { kind: 'exponential' } },
    ],
  }),
  scenario('zones', 'two zones of 5 servers and 8 balancers, 2 ms between them', {
    servers: [group(5, { zone: 'a' }), group(5, { zone: 'b' })],
    balancerZones: ['a', 'b'],
    crossZoneMs: 2,
  }),
  scenario('hundred-single-slot', '100 equal servers that serve one call at a time', {
    servers: [group(100, { slots: 1 })],
  }),
  scenario('hundred-half-fast', '100 servers, half of them four times as fast', {
    servers: [group(50), group(50, { speed: 4 })],
  }),
];

/** What reports tell, and what they do not. */
const REPORTING: readonly Scenario[] = [
  scenario('no-reports', 'nobody reports; half of the servers four times as fast', {
    servers: [group(5, { reports: SILENT }), group(5, { speed: 4, reports: SILENT })],
  }),
  scenario('no-reports-equal', 'nobody reports; 10 equal servers', {
    servers: [group(10, { reports: SILENT })],
  }),
  scenario('half-report', 'half of the slow and half of the fast servers report', {
    servers: [
      group(3),
      group(2, { reports: SILENT }),
      group(3, { speed: 4 }),
      group(2, { speed: 4, reports: SILENT }),
    ],
  }),
  scenario('half-report-equal', '10 equal servers, half of which report', {
    servers: [group(5), group(5, { reports: SILENT })],
  }),
  scenario('no-in-flight', 'reports without calls in flight', {
    servers: [group(10, { reports: { ...TRUTHFUL, inFlight: false } })],
  }),
  scenario('says-idle', 'one server always says 0 % and nothing in flight', {
    servers: [group(1, { reports: { ...TRUTHFUL, claimUtilization: 0, claimInFlight: 0 } }), group(9)],
  }),
  scenario('says-busy', 'one server always says 100 %', {
    servers: [group(1, { reports: { ...TRUTHFUL, claimUtilization: 1 } }), group(9)],
  }),
  scenario('noisy-reports', 'utilization as a real processor tells it: 30 % noise, and not linear', {
    servers: [
      group(5, { reports: { ...TRUTHFUL, noise: 0.3, power: 0.7 } }),
      group(5, { speed: 4, reports: { ...TRUTHFUL, noise: 0.3, power: 0.7 } }),
    ],
  }),
];

/** Something goes wrong, from 30 s on. */
const FAULTS: readonly Scenario[] = [
  fault('degrades', 'one server falls to a tenth of its speed, and recovers', [
    { ...DURING, kind: 'slow', factor: 0.1 },
  ]),
  fault(
    'newcomer',
    'a tenth server comes, a quarter as fast in its first 5 s',
    [{ kind: 'join', atMs: 30_000, servers: [9], factor: 0.25, coldMs: 5_000 }],
    { untilMs: 45_000 },
  ),
  fault(
    'newcomer-thousand',
    'the same, where each of 1,000 callers has a heap of its own',
    [{ kind: 'join', atMs: 30_000, servers: [9], factor: 0.25, coldMs: 5_000 }],
    { untilMs: 45_000, balancers: 1_000 },
  ),
  fault(
    'hangs',
    'one server answers and reports nothing any more; callers wait 1 s',
    [{ ...DURING, kind: 'hang' }],
    { deadlineMs: 1_000 },
  ),
  fault('silent-slow', 'one server reports no more and falls to a tenth of its speed', [
    { ...DURING, kind: 'silent' },
    { ...DURING, kind: 'slow', factor: 0.1 },
  ]),
  fault('silent', 'one server reports no more, and is fine', [{ ...DURING, kind: 'silent' }]),
  fault('fails-fast', 'one server fails each call within 1 ms', [
    { ...DURING, kind: 'fail', share: 1, afterMs: 1 },
  ]),
  fault('fails-some', 'one server fails 30 % of its calls within 1 ms', [
    { ...DURING, kind: 'fail', share: 0.3, afterMs: 1 },
  ]),
  fault('restarts', 'one server ends, and begins anew 5 s later, cold', [
    { kind: 'down', atMs: 30_000, untilMs: 35_000, servers: [0] },
    { kind: 'slow', atMs: 35_000, untilMs: 40_000, servers: [0], factor: 0.25 },
  ]),
  fault(
    'panic',
    'six of ten servers hang for 10 s at 35 % load; callers wait 1 s',
    [{ atMs: 30_000, untilMs: 40_000, servers: [0, 1, 2, 3, 4, 5], kind: 'hang' }],
    { deadlineMs: 1_000, load: { utilization: 0.35, rate: 0, skew: 0 } },
  ),
  scenario('antagonists', 'neighbours take half of the speed of two servers, others each 5 s', {
    antagonists: { share: 0.2, factor: 0.5, everyMs: 5_000 },
  }),
];

/** More calls than there is room for. */
const LIMITS: readonly Scenario[] = [
  scenario(
    'queue',
    'one balancer, single-slot servers at 90 %, max_concurrency 1: calls wait in the balancer',
    {
      servers: [group(10, { slots: 1, maxConcurrency: 1 })],
      balancers: 1,
      load: { utilization: 0.9, rate: 0, skew: 0 },
    },
  ),
  scenario('overload', 'half as many calls again as the servers can take, each with a deadline of 1 s', {
    servers: [group(10, { maxConcurrency: 8 })],
    balancers: 1,
    load: { utilization: 1.5, rate: 0, skew: 0 },
    deadlineMs: 1_000,
    waiting: 1_024,
  }),
];

/** 8 servers and 4 that wait; twice as many calls for 45 s. */
const CROWD: Partial<Scenario> = {
  servers: [group(8), group(4, { standby: true })],
  load: { utilization: 0.55, rate: 0, skew: 0 },
  surges: [{ atMs: 30_000, untilMs: 75_000, factor: 2 }],
  scaling: {
    threshold: 0.8,
    forMs: 5_000,
    cooldownMs: 5_000,
    scaleInBelow: 0.5,
    stableMs: 15_000,
    max: 4,
  },
  fromMs: 30_000,
  calls: UNBOUNDED,
};

/** The threshold rule adds servers, and takes them back. */
const SCALING: readonly Scenario[] = [
  scenario('flash-crowd', 'twice as many calls at once; standbys join by the threshold rule', {
    ...CROWD,
    untilMs: 75_000,
  }),
  scenario('scale-in', 'the same, until the crowd is gone and what was added has drained', {
    ...CROWD,
    untilMs: 150_000,
  }),
];

export const SCENARIOS: readonly Scenario[] = [...STEADY, ...REPORTING, ...FAULTS, ...LIMITS, ...SCALING];
