/**
 * One server as health sees it: a connection of its own, the check that is under way, what the last ones said, and
 * its stream of load. It has no timer: who holds it tells it the time.
 */
import { connect, type Socket } from 'node:net';
import type { CheckRules } from '../core/check-rules.ts';
import type { LoadSample } from '../core/core.ts';
import { HEALTH_LIMITS, ORCA_LIMITS } from '../core/limits.ts';
import { HealthCheckRequest } from '../gen/grpc/health/v1/health.ts';
import { OrcaLoadReport } from '../gen/xds/data/orca/v3/orca_load_report.ts';
import { OrcaLoadReportRequest } from '../gen/xds/service/orca/v3/orca.ts';
import { durationOf } from '../grpc/duration.ts';
import { sampleOf } from '../grpc/orca.ts';
import { Status } from '../grpc/status.ts';
import { type CallEnd, Link, type LinkContext } from './link.ts';
import { type Verdict, verdictOfAnswer, verdictOfEnd } from './verdict.ts';

const CHECK = '/grpc.health.v1.Health/Check';
const WATCH = '/grpc.health.v1.Health/Watch';
const LOAD = '/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics';

/** Connections that one check is tried on. */
const ATTEMPTS = 3;

export interface WatchRules extends CheckRules {
  readonly orcaIntervalMs: number;
}

export interface WatchedHost {
  readonly context: LinkContext;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** It is to be looked at next time, whatever it said of when. */
  touched(server: Watched): void;
  checked(server: Watched, verdict: Verdict): void;
  loaded(server: Watched, sample: LoadSample): void;
}

export class Watched {
  readonly id: string;
  readonly address: string;
  rules: WatchRules;
  /** Where who holds it notes when it is to be looked at. */
  readonly place: number;
  /** When the next check begins, ms. */
  dueAt: number;
  /** Checks that failed, and that passed, in a row. */
  fails = 0;
  passes = 0;
  private wantsLoad = false;
  private wantsChecks = false;

  private readonly host: WatchedHost;
  private readonly target: { readonly host: string; readonly port: number };
  private link: Link | undefined;
  private linkedAt = 0;
  /** When the check that is under way has failed, ms; NaN where none is. */
  private deadline = Number.NaN;
  private cancelCheck: (() => void) | undefined;
  /** How often the server has turned the present check away, unseen. */
  private turnedAway = 0;
  private probe: Socket | undefined;
  /** The stream of a Watch, and what it said last. */
  private cancelWatch: (() => void) | undefined;
  private watched: Verdict | undefined;
  private unwatchable = false;
  /** When a lost connection had it checked at once last, ms, and how often in a row there was nothing in it. */
  private alarmedAt = Number.NEGATIVE_INFINITY;
  private falseAlarms = 0;
  private alarmed = false;
  private cancelLoad: (() => void) | undefined;
  private loadDueAt = Number.NEGATIVE_INFINITY;
  private loadFailures = 0;

  constructor(
    id: string,
    address: string,
    target: { readonly host: string; readonly port: number },
    rules: WatchRules,
    host: WatchedHost,
    place: number,
  ) {
    this.id = id;
    this.place = place;
    this.address = address;
    this.target = target;
    this.rules = rules;
    this.host = host;
    // Spread over an interval, so that servers that came together are not checked together.
    this.dueAt = host.context.now() + host.random() * rules.intervalMs;
  }

  get checking(): boolean {
    return !Number.isNaN(this.deadline);
  }

  /** Whether its stream of load is open. */
  get streamsLoad(): boolean {
    return this.cancelLoad !== undefined;
  }

  get isDue(): boolean {
    return this.wantsChecks && this.rules.check !== 'none' && !this.checking;
  }

  /** Whether load is wanted of it, and whether health is. */
  want(checks: boolean, load: boolean): void {
    this.wantsChecks = checks;
    this.wantsLoad = load;
    this.host.touched(this);
  }

  /** Whether it would open a connection for load alone now. */
  loadIsDue(now: number): boolean {
    return this.wantsLoad && this.link === undefined && now >= this.loadDueAt && !this.checking;
  }

  /** The process stood still for a while: what it did not hear meanwhile says nothing. */
  forgive(ms: number): void {
    this.deadline += ms;
    this.host.touched(this);
  }

  begin(now: number): void {
    const { check, timeoutMs } = this.rules;
    this.dueAt = now + this.spread(this.rules.intervalMs);
    this.deadline = now + timeoutMs;
    this.turnedAway = 0;
    this.host.touched(this);
    if (check === 'tcp') this.tryPort();
    else if (this.cancelWatch !== undefined) this.link?.ping();
    else this.ask();
  }

  /** Ends a check that is late, opens and ends streams of load as they are wanted. */
  look(now: number): void {
    if (this.deadline <= now) this.late();
    if (this.link?.ready === false && !this.checking && now - this.linkedAt > HEALTH_LIMITS.connectMs) {
      this.link.destroy();
    }
    if (!this.wantsLoad) this.endLoad();
    else if (this.cancelLoad === undefined && now >= this.loadDueAt && this.mayOpenLoad) this.openLoad();
    const { check } = this.rules;
    const keeps = this.wantsChecks && (check === 'grpc' || check === 'watch');
    if (this.link !== undefined && !keeps && !this.wantsLoad && !this.checking) this.drop();
  }

  /** When it has to be looked at where nothing happens to it before, ms. */
  nextLook(now: number): number {
    let at = Number.POSITIVE_INFINITY;
    if (this.checking) at = this.deadline;
    else if (this.wantsChecks && this.rules.check !== 'none') at = this.dueAt;
    if (this.link?.ready === false && !this.checking) {
      at = Math.min(at, this.linkedAt + HEALTH_LIMITS.connectMs);
    }
    // What it waits for then is room on its connection, or its turn to open one.
    if (this.wantsLoad && this.cancelLoad === undefined) at = Math.min(at, Math.max(now, this.loadDueAt));
    return at;
  }

  /** A stream of load stays; with a server that takes one stream at a time each check would find no room. */
  private get mayOpenLoad(): boolean {
    const { link } = this;
    if (link === undefined) return false;
    return this.wantsChecks && this.rules.check !== 'none' ? link.roomy : link.open;
  }

  /** A connection for load alone; the stream follows once it is ready. */
  openLoadLink(): void {
    this.openLink();
  }

  private openLink(): Link {
    const { host, port } = this.target;
    this.linkedAt = this.host.context.now();
    this.host.touched(this);
    this.link = new Link(this.host.context, host, port, {
      ready: () => this.ready(),
      pong: () => {
        if (this.checking && this.cancelWatch !== undefined && this.watched !== undefined)
          this.settle(this.watched);
      },
      lost: why => this.lost(why),
    });
    return this.link;
  }

  /** Other rules, or it is watched otherwise: begin anew. */
  restart(rules: WatchRules, now: number): void {
    const loadAsBefore = rules.orcaIntervalMs === this.rules.orcaIntervalMs;
    this.rules = rules;
    this.endCheck();
    if (!loadAsBefore) this.endLoad();
    this.cancelWatch?.();
    this.cancelWatch = undefined;
    this.watched = undefined;
    this.dueAt = Math.min(this.dueAt, now + this.host.random() * this.rules.intervalMs);
    this.host.touched(this);
  }

  stop(): void {
    this.endCheck();
    this.drop();
  }

  private spread(ms: number): number {
    return ms * (1 + this.rules.jitter * (2 * this.host.random() - 1));
  }

  private drop(): void {
    const { link } = this;
    this.link = undefined;
    this.cancelLoad = this.cancelWatch = this.watched = undefined;
    link?.close();
  }

  /** A server that ends this connection or a Watch may be dying: ask at once, but not each time it is well. */
  private alarm(): void {
    const now = this.host.context.now();
    // One that closes its connection after every check would never be left alone: the pauses grow.
    if (now - this.alarmedAt < this.falseAlarms * this.rules.intervalMs) return;
    this.alarmedAt = now;
    this.alarmed = true;
    this.dueAt = now;
    this.host.touched(this);
  }

  private endLoad(): void {
    const cancel = this.cancelLoad;
    this.cancelLoad = undefined;
    cancel?.();
  }

  private endCheck(): void {
    this.deadline = Number.NaN;
    this.cancelCheck?.();
    this.cancelCheck = undefined;
    this.probe?.destroy();
    this.probe = undefined;
  }

  private settle(verdict: Verdict): void {
    if (!this.checking) return;
    this.endCheck();
    const good = verdict.finding === 'serving' || verdict.finding === 'alive';
    if (good) {
      this.passes++;
      this.fails = 0;
      if (this.alarmed) this.falseAlarms++;
    } else {
      this.fails++;
      this.passes = 0;
      this.falseAlarms = 0;
    }
    this.alarmed = false;
    // Until it is sure: one more failure than was needed or one pass less changes the picture.
    const { unhealthyAfter, healthyAfter, fastIntervalMs, intervalMs } = this.rules;
    const unsure = good ? this.passes < healthyAfter : this.fails < unhealthyAfter;
    if (unsure) {
      const soon = this.host.context.now() + this.spread(Math.min(fastIntervalMs, intervalMs));
      this.dueAt = Math.min(this.dueAt, soon);
    }
    this.host.touched(this);
    this.host.checked(this, verdict);
  }

  private late(): void {
    const { link, probe } = this;
    const connected = probe === undefined && link?.connected === true;
    const within = `within ${this.rules.timeoutMs / 1000} s`;
    // The next check finds out whether it still accepts connections.
    this.link = undefined;
    this.cancelLoad = this.cancelWatch = this.watched = undefined;
    this.cancelCheck = undefined;
    this.settle(
      connected
        ? { finding: 'failing', says: `did not answer the health check ${within}` }
        : { finding: 'dead', says: `did not accept a connection ${within}` },
    );
    link?.destroy();
  }

  private tryPort(): void {
    const probe = connect(this.target);
    this.probe = probe;
    const settle = (verdict: Verdict) => {
      if (this.probe === probe) this.settle(verdict);
    };
    probe.once('connect', () => settle({ finding: 'alive', says: 'accepts connections' }));
    probe.on('error', error => settle({ finding: 'dead', says: `cannot be reached: ${error.message}` }));
  }

  private ask(): void {
    if (this.link?.spent) {
      const { link } = this;
      this.link = undefined;
      this.cancelLoad = undefined;
      link.close();
    }
    const link = this.link ?? this.openLink();
    if (!link.open) return;
    const request = HealthCheckRequest.encode({ service: this.rules.service }).finish();
    if (this.rules.check === 'watch' && !this.unwatchable) this.watch(link, request);
    else {
      let answer: Verdict | undefined;
      this.cancelCheck = link.call(CHECK, request, {
        message: octets => {
          answer = verdictOfAnswer(octets);
        },
        end: end => this.checkEnded(end, answer),
      });
    }
  }

  private checkEnded(end: CallEnd, answer: Verdict | undefined): void {
    this.cancelCheck = undefined;
    if (!this.checking) return;
    // The server is leaving this connection, or has no room for a stream: it is asked on the next one.
    if (end.untouched && ++this.turnedAway < ATTEMPTS) this.askAgain();
    else this.settle(answer ?? verdictOfEnd(end, this.rules.service !== ''));
  }

  private watch(link: Link, request: Uint8Array): void {
    const cancel = link.call(WATCH, request, {
      message: octets => {
        const verdict = verdictOfAnswer(octets);
        this.watched = verdict;
        // What it says by itself counts as a check.
        if (!this.checking) this.deadline = Number.POSITIVE_INFINITY;
        this.settle(verdict);
      },
      end: end => {
        if (this.cancelWatch !== cancel) return;
        this.cancelWatch = this.watched = undefined;
        if (end.status === Status.UNIMPLEMENTED && !end.lost) this.unwatchable = true;
        if (this.checking && ++this.turnedAway < ATTEMPTS) this.askAgain();
        else if (this.checking) this.settle(verdictOfEnd(end, this.rules.service !== ''));
        else this.alarm();
      },
    });
    this.cancelWatch = cancel;
  }

  /** In the next turn, as the connection is in the middle of telling something. */
  private askAgain(): void {
    setImmediate(() => {
      if (this.checking && this.cancelCheck === undefined && this.cancelWatch === undefined) this.ask();
    });
  }

  private ready(): void {
    this.unwatchable = false;
    if (this.checking && this.cancelCheck === undefined && this.probe === undefined) this.ask();
    this.look(this.host.context.now());
  }

  private lost(why: string): void {
    const link = this.link;
    if (link === undefined) return;
    this.link = undefined;
    this.cancelLoad = undefined;
    this.host.touched(this);
    const wasReady = link.ready;
    const now = this.host.context.now();
    // Where its stream was open that has said when to come again.
    if (this.loadDueAt <= now) this.loadDueAt = now + this.loadWaitMs(Status.UNAVAILABLE);
    if (this.checking && this.probe === undefined) {
      // A check that was under way on it has said so already.
      this.settle({ finding: link.connected ? 'failing' : 'dead', says: why });
    } else if (wasReady && !link.left && this.wantsChecks) {
      this.alarm();
    }
  }

  private openLoad(): void {
    const { context } = this.host;
    const request = OrcaLoadReportRequest.encode({
      reportInterval: durationOf(this.rules.orcaIntervalMs),
      requestCostNames: [],
    }).finish();
    const link = this.link as Link;
    const cancel = link.call(LOAD, request, {
      message: octets => {
        let report: OrcaLoadReport;
        try {
          report = OrcaLoadReport.decode(octets);
        } catch {
          // What cannot be read says nothing of the load.
          return;
        }
        this.loadFailures = 0;
        this.host.loaded(this, sampleOf(report, Number.NaN));
      },
      end: ({ status }) => {
        if (this.cancelLoad !== cancel) return;
        this.cancelLoad = undefined;
        this.host.touched(this);
        this.loadDueAt = context.now() + this.loadWaitMs(status);
      },
    });
    this.cancelLoad = cancel;
  }

  private loadWaitMs(status: Status): number {
    const { firstRetryMs, retryFactor, maxRetryMs, unimplementedMs } = ORCA_LIMITS;
    if (status === Status.UNIMPLEMENTED) return unimplementedMs;
    return this.spread(Math.min(maxRetryMs, firstRetryMs * retryFactor ** this.loadFailures++));
  }
}
