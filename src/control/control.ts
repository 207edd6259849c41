/**
 * The control API of one balancer: LookasideService, LoadReportService and AdminService with health
 * and reflection on one address, over one mesh.
 */
import { formatHostPort } from '../core/host-port.ts';
import type { Mesh } from '../core/mesh.ts';
import type { CallTracer } from '../grpc/call-tracer.ts';
import type { ScalingStatus } from '../scaling/scaling.ts';
import { parseListen } from './address.ts';
import { Admin, adminService } from './admin.ts';
import { type Authorize, allowAll, allowBackends } from './authorize.ts';
import { publish } from './channels.ts';
import { type Clock, systemClock } from './clock.ts';
import { type ControlCounters, zeroCounters } from './counters.ts';
import { EventFeed } from './events.ts';
import { Health } from './health.ts';
import { type InstanceDirectory, listInstances } from './instances.ts';
import { LeaseIds } from './lease-id.ts';
import { Lifecycle } from './lifecycle.ts';
import { Operator } from './operator.ts';
import { reportOutcomes } from './outcomes.ts';
import { Picks } from './pick.ts';
import { PickAnswers } from './pick-answer.ts';
import { REFLECTION_SERVICES, reflectionServices } from './reflection.ts';
import { Reporters } from './reporters.ts';
import type { Service } from './rpc.ts';
import { getScaling } from './scaling.ts';
import { ControlServer } from './server.ts';
import { TracedPicks } from './traced-picks.ts';
import { Watches } from './watches.ts';

export type { Action, Authorize } from './authorize.ts';
export type { Clock } from './clock.ts';
export type { ControlCounters } from './counters.ts';
export type { InstanceDirectory, KnownInstance } from './instances.ts';
export type { OperatorActions } from './operator.ts';
export { type PickAsker, traceparentOf } from './pick.ts';
export type { Peer } from './rpc.ts';

/** What the control API takes from the configuration. */
export interface ControlConfig {
  readonly instance: {
    readonly id: string;
    /** Zone of callers that name none; empty is no zone. */
    readonly zone: string;
    readonly advertise: { readonly control?: string | undefined; readonly proxy?: string | undefined };
  };
  readonly control: {
    /** `host:port`; port 0 takes a free one. */
    readonly listen: string;
    readonly reportIntervalMs: number;
    /** The same as the mesh's. */
    readonly leaseTtlMs: number;
    /** CIDR blocks that may be registered; empty allows all. */
    readonly allowBackends: readonly string[];
  };
  readonly health: {
    /** How long a backend keeps its place after its report stream ended without a word. */
    readonly reportGraceMs: number;
    /** How long a server that nobody claims any more is remembered. */
    readonly forgetAfterMs: number;
  };
}

export interface ControlOptions {
  readonly mesh: Mesh;
  readonly config: ControlConfig;
  /** The machine's by default. Its `now` is the mesh's clock. */
  readonly clock?: Clock;
  /** Everyone may do everything by default. */
  readonly authorize?: Authorize;
  /** Control addresses of all instances, given this one's; by default this one's alone. */
  readonly instances?: (own: string) => readonly string[];
  /** What is known of all instances; by default of this one alone. */
  readonly directory?: () => InstanceDirectory;
  /** What the rule of scaling sees; undefined where none runs. */
  readonly scaling?: () => ScalingStatus | undefined;
  /** Picks are traced by it; by default they are not. */
  readonly tracer?: CallTracer | undefined;
  /** Why a change cannot be kept right now; empty where it can. By default it always can. */
  readonly cannotKeep?: () => string;
  /**
   * Registrations that the log does not take within a second are answered all the same: for a log on other
   * machines, which may be away for long. Default false: answered once they are durable.
   */
  readonly welcomesUnkept?: boolean;
}

export interface Control {
  /** `host:port` that it listens on. */
  readonly address: string;
  readonly counters: Readonly<ControlCounters>;
  /** For operators who do not come by gRPC. */
  readonly operator: Operator;
  /** Open connections, report streams and watches. */
  gauges(): { connections: number; reporters: number; watches: number };
  /** Whether a server has a report stream open here. */
  reports(id: string): boolean;
  /** Takes over what can change at run time: the report interval, graces, and who may be registered. */
  reconfigure(config: ControlConfig): void;
  /** The health of a pool is ignored from now on, or heeded again: callers that pick by themselves are told. */
  panicChanged(service: string): void;
  /** Other instances came or went: backends and watchers are told. */
  instancesChanged(): void;
  /** The claims of open report streams were taken back by others: they are made anew. */
  reclaim(): void;
  /** Takes no new calls; open ones get `graceMs` to end. */
  close(graceMs: number): Promise<void>;
}

const SERVICES = ['LookasideService', 'LoadReportService', 'AdminService'].map(name => `heapmesh.v1.${name}`);

/** Starts to serve; rejects where the address cannot be had. */
export async function startControl(options: ControlOptions): Promise<Control> {
  const { mesh } = options;
  const clock = options.clock ?? systemClock;
  const authorize = options.authorize ?? allowAll;
  const counters = zeroCounters();
  const listen = parseListen(options.config.control.listen);
  let { config } = options;
  let allow = allowBackends(config.control.allowBackends);
  let own = '';
  const instances = (): readonly string[] => options.instances?.(own) ?? [own];
  const instanceId = config.instance.id;
  const alone = (): InstanceDirectory => ({
    sharedLog: false,
    instances: [{ id: instanceId, control: own, proxy: config.instance.advertise.proxy ?? '', alive: true }],
  });
  const directory = options.directory ?? alone;

  const leaseIds = new LeaseIds(instanceId, mesh.registry.epoch, mesh.leases);
  const answers = new PickAnswers(mesh, leaseIds, instanceId, config.control.leaseTtlMs, clock);
  const lifecycle = new Lifecycle({ mesh, clock, counters, settings: () => config.health });
  const shared = { mesh, clock, authorize, counters };
  const reporters = new Reporters({
    ...shared,
    lifecycle,
    instanceId,
    allow: host => allow(host),
    reportIntervalMs: () => config.control.reportIntervalMs,
    addresses: instances,
    welcomesUnkept: options.welcomesUnkept ?? false,
  });
  const watches = new Watches({
    ...shared,
    instanceId,
    instances,
    defaultIntervalMs: () => config.control.reportIntervalMs,
  });
  const events = new EventFeed({ ...shared });
  const health = new Health(SERVICES);
  const traced = options.tracer && new TracedPicks(options.tracer, mesh);
  const picks = new Picks({ ...shared, answers, zone: config.instance.zone, traced, random: Math.random });

  const operations = new Admin({
    mesh,
    clock,
    instanceId,
    allow: host => allow(host),
    cannotKeep: options.cannotKeep,
  });
  const [lookaside, loadReport, admin] = SERVICES as [string, string, string];
  const services: Service[] = [
    {
      name: lookaside,
      methods: [picks.method(), watches.method(), reportOutcomes({ ...shared, leaseIds, traced })],
    },
    { name: loadReport, methods: [reporters.method()] },
    {
      name: admin,
      methods: [
        ...adminService(operations, authorize),
        events.method(),
        listInstances(shared, directory),
        getScaling(shared, () => options.scaling?.()),
      ],
    },
    health.service(),
    ...reflectionServices([...SERVICES, 'grpc.health.v1.Health', ...REFLECTION_SERVICES]),
  ];
  const server = new ControlServer(services, (path, error) => {
    counters.faults++;
    publish('heapmesh:control:fault', () => ({ path, error }));
  });
  const bound = await server.listen(listen.host, listen.port);
  const address = formatHostPort(bound.host, bound.port);
  own = config.instance.advertise.control ?? address;

  const unfollow = mesh.registry.onChange((id, before, after) => {
    answers.changed(id, after);
    lifecycle.changed(id, after);
    reporters.changed(id, before, after);
    watches.changed(id, before, after);
  });
  lifecycle.start();

  let closing: Promise<void> | undefined;
  return {
    address,
    counters,
    operator: new Operator(operations, authorize),
    gauges: () => ({ connections: server.connections, reporters: reporters.size, watches: watches.size }),
    reports: id => reporters.has(id),
    reconfigure(next) {
      allow = allowBackends(next.control.allowBackends);
      config = next;
      reporters.intervalChanged();
    },
    panicChanged: service => watches.panicChanged(service),
    instancesChanged() {
      watches.instancesChanged();
      reporters.instancesChanged();
    },
    reclaim: () => reporters.reclaim(),
    close(graceMs) {
      closing ??= (async () => {
        health.stop();
        // Nobody's end from here on says anything of a backend.
        lifecycle.stop();
        reporters.stop();
        watches.stop();
        traced?.stop();
        events.stop();
        await server.close(graceMs);
        unfollow();
      })();
      return closing;
    },
  };
}
