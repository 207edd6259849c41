/** Built-in scenarios. The model is the same in all: 10 servers of 8 slots, 20 ms a call, 80 % of capacity, a report each second. */
import type { Happening, Method, Reports, Scenario, ServerGroup } from './scenario.ts';

const TRUTHFUL: Reports = { sent: true, inFlight: true, noise: 0, power: 1 };

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
function fault(name: string, about: string, happening: Happening, more: Partial<Scenario> = {}): Scenario {
  return scenario(name, about, {
    happenings: [happening],
    fromMs: 30_000,
    untilMs: 70_000,
    calls: UNBOUNDED,
    ...more,
  });
}

const DURING = { atMs: 30_000, untilMs: 60_000, servers: [0] } as const;

export const SCENARIOS: readonly Scenario[] = [
  scenario('equal', '10 equal servers'),
  scenario('single-slot', '10 equal servers that serve one call at a time', {
    servers: [group(10, { slots: 1 })],
  }),
  scenario('log-normal', 'service times with a heavy tail (log-normal, sigma 1.5)', {
    methods: [{ share: 1, meanMs: 20, law: { kind: 'lognormal', sigma: 1.5 } }],
  }),
  scenario('pareto', 'service times with a heavier tail (Pareto 1.5, range 1000)', {
    methods: [{ share: 1, meanMs: 20, law: { kind: 'pareto', alpha: 1.5, range: 1000 } }],
  }),
  scenario('shared', 'servers that share their processors among all calls, log-normal service', {
    methods: [{ share: 1, meanMs: 20, law: { kind: 'lognormal', sigma: 1.5 } }],
    discipline: 'shared',
  }),
  scenario('half-fast', 'half of the servers four times as fast as the others', {
    servers: [group(5), group(5, { speed: 4 })],
  }),
  scenario('one-slow', 'one server ten times as slow', {
    servers: [group(1, { speed: 0.1 }), group(9)],
  }),
  fault('degrades', 'one server falls to a tenth of its speed, and recovers', {
    ...DURING,
    kind: 'slow',
    factor: 0.1,
  }),
  fault(
    'newcomer',
    'a tenth server comes, a quarter as fast in its first 5 s',
    { kind: 'join', atMs: 30_000, servers: [9], factor: 0.25, coldMs: 5_000 },
    { untilMs: 45_000 },
  ),
  fault(
    'hangs',
    'one server answers and reports nothing any more; callers wait 1 s',
    { ...DURING, kind: 'hang' },
    { deadlineMs: 1_000 },
  ),
  scenario('antagonists', 'neighbours take half of the speed of one server in five, others each 5 s', {
    antagonists: { share: 0.2, factor: 0.5, everyMs: 5_000 },
  }),
  fault('fails-fast', 'one server fails each call within 1 ms', {
    ...DURING,
    kind: 'fail',
    share: 1,
    afterMs: 1,
  }),
];
