/** The configuration of one balancer: what it holds, and how a file and flags become one. */
import type { ServerSpec } from '../core/core.ts';
import type { PolicyName } from '../core/policies/policies.ts';
import type { Status } from '../grpc/status.ts';
import { isLoopback, parseAddress } from './address.ts';
import { type Check, crossCheck } from './cross-check.ts';
import { type HealthRulesConfig, resolvePoolRules, resolveRules } from './health-rules.ts';
import { fromIssue, type Problem, renderProblem } from './problem.ts';
import { type Parsed, schema } from './schema.ts';
import { openSource, type Source } from './source.ts';

export interface Config {
  readonly instance: {
    /** The host name where the file gives none. */
    readonly id: string;
    /** Empty is no zone. */
    readonly zone: string;
    /** `host:port`; undefined is the listening address. */
    readonly advertise: { readonly control?: string | undefined; readonly proxy?: string | undefined };
    /** Control addresses; a host may be a name that stands for several. */
    readonly peers: readonly string[];
  };
  readonly proxy: {
    /** `host:port`, with brackets around an IPv6 host; port 0 takes a free one. */
    readonly listen: string;
    readonly maxConcurrentStreams: number;
    readonly drainTimeoutMs: number;
    /** 0 is never. */
    readonly maxConnectionAgeMs: number;
    readonly maxConnectionAgeGraceMs: number;
    readonly keepLoadReports: boolean;
    /** Undefined: backends for any service answer. */
    readonly reflection?: string | undefined;
    readonly reusePort: boolean;
    readonly rememberHeaders: boolean;
  };
  readonly control: {
    readonly listen: string;
    readonly reportIntervalMs: number;
    readonly leaseTtlMs: number;
    /** CIDR blocks; empty allows all. */
    readonly allowBackends: readonly string[];
  };
  readonly admin: {
    readonly listen: string;
    /** Where the file does not say: on loopback alone. */
    readonly allowWrites: boolean;
    /** Names that the port answers to beside its own. */
    readonly allowedHosts: readonly string[];
    /** With `{traceId}`; undefined is no link. */
    readonly traceLink?: string | undefined;
  };
  /** An address may be `dns:///name:port`: one backend for each address that the name has. */
  readonly servers: readonly ServerSpec[];
  readonly pools: readonly PoolConfig[];
  readonly discovery: {
    readonly dnsIntervalMs: number;
    /** `host:port`; empty: the machine's own way of resolving names. */
    readonly dnsServers: readonly string[];
  };
  readonly health: HealthRulesConfig & {
    /** Three report intervals where the file gives none. */
    readonly reportGraceMs: number;
    readonly forgetAfterMs: number;
  };
  readonly scaling: {
    readonly threshold: number;
    readonly forMs: number;
    readonly cooldownMs: number;
    readonly provider: 'standby' | 'command' | 'none';
    readonly max: number;
    readonly scaleIn: { readonly below: number; readonly forMs: number };
    readonly command: readonly string[];
    readonly commandTimeoutMs: number;
    readonly commandAttempts: number;
  };
  readonly state: StateConfig;
  readonly telemetry: {
    /** Undefined: the variables of OpenTelemetry say it, or a default. */
    readonly traces: {
      readonly endpoint?: string | undefined;
      readonly protocol?: 'grpc' | 'http/protobuf' | undefined;
      readonly sampleRatio?: number | undefined;
      readonly parentBased?: boolean | undefined;
      readonly alwaysErrors: boolean;
      readonly alwaysSlowerThanMs?: number | undefined;
      readonly streamSegmentMs: number;
    };
    readonly logs: { readonly level: LogLevel };
    readonly accessLog: {
      readonly sampleRatio: number;
      readonly errors: boolean;
      readonly slowerThanMs?: number | undefined;
      readonly streamIntervalMs: number;
      readonly metadata: readonly string[];
    };
  };
}

export interface StateConfig {
  readonly log: 'memory' | 'file' | 'kafka';
  readonly directory: string;
  readonly historyOctets: number;
  readonly decisions: { readonly sampleRatio: number; readonly traced: boolean };
  /** `host:port`. */
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Paths of PEM files. */
  readonly tls?:
    | {
        readonly ca?: string | undefined;
        readonly cert?: string | undefined;
        readonly key?: string | undefined;
        readonly serverName?: string | undefined;
      }
    | undefined;
  readonly sasl?:
    | {
        readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' | 'oauthbearer';
        readonly username?: string | undefined;
        readonly password?: string | undefined;
        readonly passwordFile?: string | undefined;
      }
    | undefined;
}

export interface PoolConfig {
  /** A service name; `*` holds the settings of pools without an entry. */
  readonly service: string;
  readonly policy: PolicyName;
  readonly zoneFactor: number;
  readonly retry?:
    | { readonly codes: readonly StatusName[]; readonly attempts: number; readonly budget: number }
    | undefined;
  readonly maxStreamAgeMs?: number | undefined;
  /** All rules, those of `health` where the pool has none of its own; absent where it has none at all. */
  readonly health?: HealthRulesConfig | undefined;
  readonly queue: {
    /** 0: nobody waits. */
    readonly size: number;
    readonly maxWaitMs: number;
    readonly whenDown: 'fail' | 'wait';
  };
}

type StatusName = keyof typeof Status;

export type LogLevel = Parsed['telemetry']['logs']['level'];

/** Settings of the command line; they go before those of the file. */
export interface Flags {
  /** Addresses; `undefined` leaves what the file says. */
  readonly proxy?: string | undefined;
  readonly control?: string | undefined;
  readonly admin?: string | undefined;
  /** `SERVICE=ADDR`, or `ADDR` for every service; an address may be given with several services. */
  readonly servers?: readonly string[];
  /** A host that others reach this instance at, on the ports that it listens on; goes before `instance.advertise`. */
  readonly advertise?: string | undefined;
  /** Allows listening beyond loopback. */
  readonly insecure?: boolean;
}

export interface LoadOptions {
  /** How the file is called in errors. */
  readonly file: string;
  /** The instance's id where none is given. */
  readonly hostname: string;
  readonly flags?: Flags;
}

export interface Loaded {
  readonly config: Config;
  /** What is accepted, but has no effect beside another key, each with its place. */
  readonly warnings: readonly Problem[];
}

/** Everything that is wrong with a configuration, not only the first mistake. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(renderProblem).join('\n'));
    this.problems = problems;
  }
}

/**
 * Makes a configuration of a file's text and the command line's flags.
 *
 * @param text YAML; empty is a configuration of defaults.
 * @throws ConfigError with all problems.
 */
export function loadConfig(text: string, options: LoadOptions): Loaded {
  const source = openSource(text, options.file, options.flags ?? {});
  const parsed = schema.safeParse(source.raw);
  const issues = parsed.success ? [] : parsed.error.issues;
  const check: Check = crossCheck(source.raw, options.flags?.insecure === true);
  const problems = [
    ...source.problems,
    ...issues.flatMap(issue => fromIssue(issue, source)),
    ...check.errors.map(({ path, message }) => source.problem(path, message)),
  ];
  if (!parsed.success || problems.length > 0) throw new ConfigError(inOrder(problems));
  return {
    config: resolve(parsed.data, options),
    warnings: inOrder(check.warnings.map(({ path, message }) => source.problem(path, message))),
  };
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

function resolve(parsed: Parsed, options: LoadOptions): Config {
  const { instance, control, health, scaling } = parsed;
  return {
    instance: { ...instance, id: instance.id ?? options.hostname },
    proxy: {
      listen: parsed.proxy.listen,
      maxConcurrentStreams: parsed.proxy.maxConcurrentStreams,
      drainTimeoutMs: parsed.proxy.drainTimeout,
      maxConnectionAgeMs: parsed.proxy.maxConnectionAge,
      maxConnectionAgeGraceMs: parsed.proxy.maxConnectionAgeGrace,
      keepLoadReports: parsed.proxy.keepLoadReports,
      ...(parsed.proxy.reflection === undefined ? {} : { reflection: parsed.proxy.reflection }),
      reusePort: parsed.proxy.reusePort,
      rememberHeaders: parsed.proxy.rememberHeaders,
    },
    control: {
      listen: control.listen,
      reportIntervalMs: control.reportInterval,
      leaseTtlMs: control.leaseTtl,
      allowBackends: control.allowBackends,
    },
    admin: resolveAdmin(parsed.admin),
    servers: parsed.servers.map(({ tls: _, ...server }) => ({
      ...server,
      id: server.id ?? server.address,
      services: [...new Set(server.services)],
    })),
    pools: parsed.pools.map(({ maxStreamAge, health: own, queue: { maxWait, ...queue }, ...pool }) => ({
      ...pool,
      ...(own === undefined ? {} : { health: resolvePoolRules(own, health) }),
      queue: { ...queue, maxWaitMs: maxWait },
      ...(maxStreamAge === undefined ? {} : { maxStreamAgeMs: maxStreamAge }),
    })),
    discovery: {
      dnsIntervalMs: parsed.discovery.dnsInterval,
      dnsServers: parsed.discovery.dnsServers,
    },
    health: {
      ...resolveRules(health),
      // A backend may miss one report and be late with the next before its silence says anything.
      reportGraceMs: health.reportGrace ?? 3 * control.reportInterval,
      forgetAfterMs: health.forgetAfter,
    },
    scaling: {
      threshold: scaling.threshold,
      forMs: scaling.for,
      cooldownMs: scaling.cooldown,
      provider: scaling.provider,
      max: scaling.max,
      scaleIn: { below: scaling.scaleIn.below, forMs: scaling.scaleIn.for },
      command: scaling.command,
      commandTimeoutMs: scaling.commandTimeout,
      commandAttempts: scaling.commandAttempts,
    },
    state: stateOf(parsed.state),
    telemetry: telemetryOf(parsed.telemetry),
  };
}

function stateOf({ history, ...state }: Parsed['state']): StateConfig {
  return { ...state, historyOctets: history };
}

function resolveAdmin({ tls: _, ...admin }: Parsed['admin']): Config['admin'] {
  const address = parseAddress(admin.listen, { anyPort: true });
  const loopback = typeof address === 'object' && isLoopback(address.host);
  return { ...admin, allowWrites: admin.allowWrites ?? loopback };
}

function telemetryOf({ traces, accessLog, logs }: Parsed['telemetry']): Config['telemetry'] {
  const { alwaysSlowerThan, streamSegment, ...ofTraces } = traces;
  const { slowerThan, streamInterval, ...ofCalls } = accessLog;
  return {
    traces: {
      ...ofTraces,
      ...(alwaysSlowerThan === undefined ? {} : { alwaysSlowerThanMs: alwaysSlowerThan }),
      streamSegmentMs: streamSegment,
    },
    accessLog: {
      ...ofCalls,
      ...(slowerThan === undefined ? {} : { slowerThanMs: slowerThan }),
      streamIntervalMs: streamInterval,
    },
    logs,
  };
}

export type { Problem, Source };
