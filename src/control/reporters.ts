/**
 * The report streams of backends: one a backend on this instance. Who registers an id that another
 * stream holds takes it over from the same address, and from another one only where the older stream's
 * connection is dead.
 */
import type { ServerSpec, ServerView } from '../core/core.ts';
import { CONTROL } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { ReportLoadRequest, type ReportLoadResponse } from '../gen/heapmesh/v1/load_report.ts';
import { durationOf } from '../grpc/duration.ts';
import { Status } from '../grpc/status.ts';
import type { AllowBackend, Authorize } from './authorize.ts';
import { publish } from './channels.ts';
import type { Clock } from './clock.ts';
import type { ControlCounters } from './counters.ts';
import type { Lifecycle } from './lifecycle.ts';
import { requestStream } from './methods.ts';
import { Reporter } from './reporter.ts';
import { type Link, type Method, type Peer, RpcError, type Sink } from './rpc.ts';

export interface ReportersOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly authorize: Authorize;
  readonly counters: ControlCounters;
  readonly lifecycle: Lifecycle;
  readonly instanceId: string;
  readonly allow: AllowBackend;
  readonly reportIntervalMs: () => number;
  /** A claim that the log has not taken for long is answered all the same. */
  readonly welcomesUnkept: boolean;
  /** Control addresses of all instances. */
  readonly addresses: () => readonly string[];
}

type Message = NonNullable<ReportLoadResponse['kind']>;

export class Reporters {
  readonly options: ReportersOptions;
  private readonly byId = new Map<string, Reporter>();
  private readonly open = new Set<Reporter>();

  constructor(options: ReportersOptions) {
    this.options = options;
  }

  /** Open report streams. */
  get size(): number {
    return this.open.size;
  }

  has(id: string): boolean {
    return this.byId.has(id);
  }

  method(): Method {
    const path = '/heapmesh.v1.LoadReportService/ReportLoad';
    return requestStream('bidi', path, ReportLoadRequest, (peer: Peer, sink: Sink, link: Link) => {
      if (this.open.size >= CONTROL.reporters) {
        throw new RpcError(Status.RESOURCE_EXHAUSTED, `${this.open.size} report streams are open`);
      }
      const reporter = new Reporter(this, peer, sink, link);
      this.open.add(reporter);
      return reporter;
    });
  }

  /** A stream is over, however it ended. */
  closed(reporter: Reporter): void {
    this.open.delete(reporter);
    if (this.byId.get(reporter.id) === reporter) this.byId.delete(reporter.id);
  }

  holds(reporter: Reporter): boolean {
    return this.byId.get(reporter.id) === reporter;
  }

  /**
   * Gives the id to a stream, after the PING of an older one where there is one, and calls back once the
   * claim is kept. A stream that does not get it is ended with the reason.
   */
  claim(newcomer: Reporter, spec: ServerSpec, done: () => void): void {
    const holder = this.byId.get(spec.id);
    if (holder === undefined || holder === newcomer) {
      this.take(newcomer, spec, done);
      return;
    }
    if (holder.address === spec.address) {
      this.options.counters.takenOver++;
      holder.evict(`a newer stream of ${spec.id} from ${newcomer.peer.address} took over`);
      this.take(newcomer, spec, done);
      return;
    }
    holder.link.ping(CONTROL.pingMs, answered => {
      if (newcomer.over) return;
      // Whoever holds the id by now decides: the older stream may have ended, or another have come.
      if (this.byId.get(spec.id) !== holder) this.claim(newcomer, spec, done);
      else if (answered) {
        const where = `${spec.id} is in use by ${holder.address}, whose stream is open`;
        this.refuse(newcomer, spec.id, new RpcError(Status.ALREADY_EXISTS, where));
      } else {
        holder.evict(`${spec.id} was taken over from ${spec.address}: no answer to a PING`);
        this.take(newcomer, spec, done);
      }
    });
  }

  /** Proposes the claim; what the list makes of it is the answer. */
  private take(reporter: Reporter, spec: ServerSpec, done: () => void): void {
    const { mesh, lifecycle } = this.options;
    const { registry } = mesh;
    const known = registry.get(spec.id);
    if (known !== undefined && known.spec.address !== spec.address && known.sources.includes('stream')) {
      lifecycle.lose(spec.id, `it came back at ${spec.address}`);
    }
    this.byId.set(spec.id, reporter);
    reporter.id = spec.id;
    reporter.spec = spec;
    reporter.address = spec.address;
    const address = { kind: 'address', id: spec.id, address: spec.address } as const;
    const settled = registry.propose({ kind: 'claim', source: 'stream', spec }, 'registered itself', [
      address,
    ]);
    let welcomed = false;
    const welcome = () => {
      if (welcomed || !this.holds(reporter)) return;
      welcomed = true;
      done();
    };
    // A log that is away for long keeps nobody out: the claim holds here, and waits to be kept.
    const callOff = this.options.clock.after(CONTROL.keptWithinMs, () => {
      if (this.options.welcomesUnkept && this.isClaimed(spec)) welcome();
    });
    settled.then(
      // Where the log keeps nothing any more, a backend serves all the same: its stream says that it is there.
      ({ applied, why }) => {
        callOff();
        if (!applied) this.refuse(reporter, spec.id, this.refusalOf(spec, why));
        else welcome();
      },
      (error: Error) => {
        callOff();
        const why = `the registration could not be kept: ${error.message}`;
        this.refuse(reporter, spec.id, new RpcError(Status.UNAVAILABLE, why));
      },
    );
    // In the own view the claim is in force at once: calls go there while it is written.
    if (this.isClaimed(spec)) lifecycle.attached(spec.id);
  }

  private isClaimed(spec: ServerSpec): boolean {
    const view = this.options.mesh.registry.get(spec.id);
    return view?.sources.includes('stream') === true && view.spec.address === spec.address;
  }

  private refusalOf(spec: ServerSpec, why: string): RpcError {
    const view = this.options.mesh.registry.get(spec.id);
    const elsewhere = view !== undefined && view.spec.address !== spec.address;
    return new RpcError(elsewhere ? Status.ALREADY_EXISTS : Status.FAILED_PRECONDITION, why);
  }

  private refuse(reporter: Reporter, serverId: string, refusal: RpcError): void {
    if (reporter.over) return;
    // What becomes of its stream says nothing of the server that has the id.
    if (this.holds(reporter)) this.byId.delete(reporter.id);
    this.options.counters.registrationsRefused++;
    const { peer } = reporter;
    publish('heapmesh:control:refused', () => ({ serverId, peer: peer.address, why: refusal.message }));
    reporter.fail(refusal);
  }

  /** The registry's view of a server changed: its backend is told what it has to know. */
  changed(id: string, before: ServerView | undefined, after: ServerView | undefined): void {
    const reporter = this.byId.get(id);
    if (reporter === undefined || reporter.isRegistering) return;
    if (reporter.isLeaving) {
      if (after === undefined || after.drain?.empty || !after.sources.includes('stream')) reporter.left();
      return;
    }
    if (after === undefined) {
      // An operator's removal keeps the claim beneath it, and this one ends with its stream.
      reporter.removed(before?.drain?.by === 'scaling' ? 'scaling, after its drain' : 'an operator');
      this.options.lifecycle.leave(id);
      return;
    }
    if (after.state === 'DRAINING' && before?.drain !== after.drain && after.drain?.empty === false) {
      reporter.tell(drainMessage(after));
    }
    if (before?.state === 'STANDBY' && after.state === 'WARMING') {
      reporter.tell({ $case: 'activate', value: { cause: after.cause } });
    }
  }

  intervalChanged(): void {
    const message = this.intervalMessage();
    for (const reporter of this.byId.values()) reporter.tell(message);
  }

  /** Claims by stream of this instance are gone, and the streams stand. */
  reclaim(): void {
    for (const { spec, isRegistering, isLeaving } of this.byId.values()) {
      if (spec === undefined || isRegistering || isLeaving) continue;
      const body = { kind: 'claim', source: 'stream', spec } as const;
      this.options.mesh.registry.propose(body, 'its report stream stands').catch(() => {});
    }
  }

  /** Instances came or went: backends learn whom else to report to. */
  instancesChanged(): void {
    for (const reporter of this.byId.values()) {
      if (!reporter.isRegistering && !reporter.isLeaving) reporter.tell(this.registeredMessage(reporter.id));
    }
  }

  /** What a backend is told once it is registered, and a drain that is in force already. */
  welcome(reporter: Reporter): void {
    const { counters, mesh } = this.options;
    counters.registered++;
    const { id, address, peer } = reporter;
    publish('heapmesh:control:registered', () => ({ serverId: id, address, peer: peer.address }));
    reporter.tell(this.registeredMessage(id));
    const view = mesh.registry.get(id);
    if (view?.state === 'DRAINING' && view.drain?.empty === false) {
      reporter.tell(drainMessage(view));
    }
  }

  /** The balancer stops: streams end, and backends go on with the other instances. */
  stop(): void {
    for (const reporter of [...this.open]) {
      reporter.fail(new RpcError(Status.UNAVAILABLE, 'the balancer is shutting down'));
    }
  }

  private registeredMessage(id: string): Message {
    const { instanceId, addresses } = this.options;
    const reportInterval = this.intervalMessage().value;
    return {
      $case: 'registered',
      value: { id, reportInterval, instanceId, controlAddresses: [...addresses()] },
    };
  }

  private intervalMessage() {
    const value = durationOf(this.options.reportIntervalMs());
    return { $case: 'reportInterval', value } as const satisfies Message;
  }
}

function drainMessage(view: ServerView): Message {
  const timeout = durationOf(view.drain?.timeoutMs ?? 0);
  return { $case: 'drain', value: { timeout, cause: view.cause } };
}
