/** Scenarios of the simulator as YAML: what a file may say, and what a scenario looks like as one. */
import { stringify } from 'yaml';
import { z } from 'zod';
import type { Happening, Law, Scenario, ServerGroup } from '../sim/sim.ts';
import { ConfigError } from './config.ts';
import { describeValue } from './kinds.ts';
import type { Problem } from './problem.ts';
import { openSource } from './source.ts';
import { formatDuration, parseDuration } from './units.ts';

const positive = z.number().positive();
const share = z.number().min(0).max(1);
const count = z.number().int().min(0);

/** A duration as text, in ms. */
const duration = z.string().transform((value, context): number => {
  const ms = parseDuration(value);
  if (ms !== undefined) return ms;
  context.addIssue({ code: 'custom', message: `is '${value}'; expected a duration such as 250ms, 1s or 5m` });
  return z.NEVER;
});

const reports = z.strictObject({
  sent: z.boolean().default(true),
  inFlight: z.boolean().default(true),
  claimUtilization: z.number().min(0).optional(),
  claimInFlight: z.number().min(0).optional(),
  noise: z.number().min(0).default(0),
  power: positive.default(1),
});

const servers = z.strictObject({
  count: z.number().int().min(1).max(4_000),
  slots: z.number().int().min(1).default(8),
  speed: positive.default(1),
  zone: z.string().default(''),
  maxConcurrency: count.default(0),
  standby: z.boolean().default(false),
  reports: reports.prefault({}),
});

const method = z.strictObject({
  share: positive.default(1),
  mean: duration,
  law: z.enum(['exponential', 'fixed', 'lognormal', 'pareto']).default('exponential'),
  sigma: positive.default(1.5),
  alpha: z.number().gt(1).default(1.5),
  range: z.number().gt(1).default(1_000),
});

const what = z.strictObject({
  what: z.enum(['slow', 'fail', 'hang', 'silent', 'down', 'join', 'drain']),
  servers: z.array(count).min(1),
  at: duration,
  until: duration.optional(),
  /** Of the speed: for `slow` and for `join`. */
  factor: positive.default(0.1),
  share: share.default(1),
  after: duration.prefault('1ms'),
  cold: duration.prefault('0s'),
});

const file = z.strictObject({
  name: z.string().min(1),
  about: z.string().default(''),
  servers: z.array(servers).min(1),
  balancers: z.number().int().min(1).max(10_000).default(16),
  balancerZones: z.array(z.string()).default([]),
  methods: z
    .array(method)
    .min(1)
    .prefault([{ mean: '20ms' }]),
  discipline: z.enum(['slots', 'shared']).default('slots'),
  load: z
    .strictObject({
      utilization: positive.default(0.8),
      rate: z.number().min(0).default(0),
      skew: share.default(0),
      burst: z.strictObject({ factor: positive, on: duration, off: duration }).optional(),
    })
    .prefault({}),
  reportInterval: duration.prefault('1s'),
  delay: duration.prefault('0.25ms'),
  crossZoneDelay: duration.optional(),
  deadline: duration.prefault('0s'),
  happenings: z.array(what).default([]),
  antagonists: z.strictObject({ share, factor: positive, every: duration }).optional(),
  surges: z.array(z.strictObject({ at: duration, until: duration, factor: positive })).default([]),
  scaling: z
    .strictObject({
      threshold: positive.default(0.8),
      for: duration,
      cooldown: duration,
      scaleInBelow: z.number().min(0).default(0),
      stable: duration,
      max: z.number().int().min(1),
    })
    .optional(),
  warmUp: duration.prefault('12.2s'),
  from: duration.optional(),
  until: duration.optional(),
  calls: z.number().int().min(100).optional(),
  waiting: count.optional(),
});
type File = z.output<typeof file>;

/**
 * Reads a scenario. Where it says neither `until` nor `calls`, 210,000 calls are measured.
 * @throws ConfigError with every mistake and its place
 */
export function readScenario(text: string, name: string): Scenario {
  const source = openSource(text, name, {});
  if (source.problems.length > 0) throw new ConfigError([...source.problems]);
  const parsed = file.safeParse(source.raw);
  if (!parsed.success) {
    const problems = parsed.error.issues.flatMap((issue): Problem[] => {
      const path = issue.path as (string | number)[];
      if (issue.code === 'unrecognized_keys') {
        return issue.keys.map(key => ({
          ...source.problem(path, 'is no key that a scenario has', key),
          path: [...path, key],
        }));
      }
      if (issue.code === 'custom') return [source.problem(path, issue.message)];
      return [source.problem(path, `${describeValue(valueAt(source.raw, path))}: ${issue.message}`)];
    });
    throw new ConfigError(problems);
  }
  const scenario = toScenario(parsed.data);
  const known = scenario.servers.reduce((sum, group) => sum + group.count, 0);
  scenario.happenings.forEach((happening, n) => {
    const beyond = happening.servers.find(server => server >= known);
    if (beyond === undefined) return;
    const message = `names server ${beyond}; there are ${known}, counted from 0`;
    throw new ConfigError([source.problem(['happenings', n, 'servers'], message)]);
  });
  return scenario;
}

function valueAt(raw: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (value as Record<string | number, unknown> | undefined)?.[part],
    raw,
  );
}

function toScenario(from: File): Scenario {
  const { burst, ...load } = from.load;
  return {
    name: from.name,
    about: from.about,
    servers: from.servers.map(toGroup),
    balancers: from.balancers,
    balancerZones: from.balancerZones,
    methods: from.methods.map(each => ({ share: each.share, meanMs: each.mean, law: toLaw(each) })),
    discipline: from.discipline,
    load: {
      ...load,
      ...(burst && { burst: { factor: burst.factor, onMs: burst.on, offMs: burst.off } }),
    },
    reportMs: from.reportInterval,
    delayMs: from.delay,
    crossZoneMs: from.crossZoneDelay ?? from.delay,
    deadlineMs: from.deadline,
    happenings: from.happenings.map(toHappening),
    ...(from.antagonists && {
      antagonists: {
        share: from.antagonists.share,
        factor: from.antagonists.factor,
        everyMs: from.antagonists.every,
      },
    }),
    surges: from.surges.map(({ at, until, factor }) => ({ atMs: at, untilMs: until, factor })),
    ...(from.scaling && {
      scaling: {
        threshold: from.scaling.threshold,
        forMs: from.scaling.for,
        cooldownMs: from.scaling.cooldown,
        scaleInBelow: from.scaling.scaleInBelow,
        stableMs: from.scaling.stable,
        max: from.scaling.max,
      },
    }),
    warmUpMs: from.warmUp,
    fromMs: from.from ?? from.warmUp,
    untilMs: from.until ?? Number.POSITIVE_INFINITY,
    calls: from.calls ?? (from.until === undefined ? 210_000 : Number.POSITIVE_INFINITY),
    waiting: from.waiting ?? Number.POSITIVE_INFINITY,
  };
}

function toGroup({ reports: told, ...group }: File['servers'][number]): ServerGroup {
  const { claimUtilization, claimInFlight, ...rest } = told;
  return {
    ...group,
    reports: {
      ...rest,
      ...(claimUtilization === undefined ? {} : { claimUtilization }),
      ...(claimInFlight === undefined ? {} : { claimInFlight }),
    },
  };
}

function toLaw({ law, sigma, alpha, range }: File['methods'][number]): Law {
  if (law === 'lognormal') return { kind: law, sigma };
  if (law === 'pareto') return { kind: law, alpha, range };
  return { kind: law };
}

function toHappening(from: File['happenings'][number]): Happening {
  const { at, until, factor, share: part, after, cold } = from;
  const head = { atMs: at, servers: from.servers, ...(until === undefined ? {} : { untilMs: until }) };
  switch (from.what) {
    case 'slow':
      return { ...head, kind: 'slow', factor };
    case 'fail':
      return { ...head, kind: 'fail', share: part, afterMs: after };
    case 'join':
      return { ...head, kind: 'join', factor, coldMs: cold };
    default:
      return { ...head, kind: from.what };
  }
}

/** A scenario as a file that reads back as the same scenario. */
export function writeScenario(scenario: Scenario): string {
  const time = formatDuration;
  const { load, antagonists } = scenario;
  const whole = (value: number): number | undefined => (Number.isFinite(value) ? value : undefined);
  const lasting = (ms: number): string | undefined => (Number.isFinite(ms) ? time(ms) : undefined);
  return stringify({
    name: scenario.name,
    about: scenario.about,
    servers: scenario.servers,
    balancers: scenario.balancers,
    balancerZones: scenario.balancerZones,
    methods: scenario.methods.map(({ share: part, meanMs, law: { kind, ...law } }) => ({
      share: part,
      mean: time(meanMs),
      law: kind,
      ...law,
    })),
    discipline: scenario.discipline,
    load: {
      utilization: load.utilization,
      rate: load.rate,
      skew: load.skew,
      burst: load.burst && {
        factor: load.burst.factor,
        on: time(load.burst.onMs),
        off: time(load.burst.offMs),
      },
    },
    reportInterval: time(scenario.reportMs),
    delay: time(scenario.delayMs),
    crossZoneDelay: time(scenario.crossZoneMs),
    deadline: time(scenario.deadlineMs),
    happenings: scenario.happenings.map(({ kind, atMs, untilMs, ...rest }) => {
      const { afterMs, coldMs, ...plain } = { afterMs: undefined, coldMs: undefined, ...rest };
      return {
        what: kind,
        at: time(atMs),
        until: untilMs === undefined ? undefined : time(untilMs),
        ...plain,
        after: afterMs === undefined ? undefined : time(afterMs),
        cold: coldMs === undefined ? undefined : time(coldMs),
      };
    }),
    antagonists: antagonists && {
      share: antagonists.share,
      factor: antagonists.factor,
      every: time(antagonists.everyMs),
    },
    surges: scenario.surges.map(({ atMs, untilMs, factor }) => ({
      at: time(atMs),
      until: time(untilMs),
      factor,
    })),
    scaling: scenario.scaling && {
      threshold: scenario.scaling.threshold,
      for: time(scenario.scaling.forMs),
      cooldown: time(scenario.scaling.cooldownMs),
      scaleInBelow: scenario.scaling.scaleInBelow,
      stable: time(scenario.scaling.stableMs),
      max: scenario.scaling.max,
    },
    warmUp: time(scenario.warmUpMs),
    from: time(scenario.fromMs),
    until: lasting(scenario.untilMs),
    calls: whole(scenario.calls),
    waiting: whole(scenario.waiting),
  });
}
