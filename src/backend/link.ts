/**
 * The tie to one balancer: a stream that is opened again whenever it ends, with what is said on it.
 *
 * idle → connecting → registered → (stream ends) waiting → connecting ...
 *                     registered → leaving → left
 *        any but leaving and left → asleep (another link leads to the same instance) → connecting
 */
import { CONTROL, REPORTER_LIMITS } from '../core/limits.ts';
import type { Registered, Registration, ReportLoadResponse } from '../gen/heapmesh/v1/load_report.ts';
import { durationOf, millisOf } from '../grpc/duration.ts';
import { Status, statusName } from '../grpc/status.ts';
import { Backoff } from './backoff.ts';
import type { LoadMeter, Reading } from './load.ts';
import { type ChannelSettings, ReportStream } from './stream.ts';
import { later } from './timers.ts';

/**
 * - `connecting`: the stream is open and the registration is on its way.
 * - `waiting`: the stream has ended; the next one opens after a time.
 * - `asleep`: this address leads to an instance that another address leads to, too.
 * - `leaving`: deregistered, calls in flight go on; `left`: the balancer has let go, or is given up.
 */
export type LinkPhase = 'idle' | 'connecting' | 'registered' | 'waiting' | 'asleep' | 'leaving' | 'left';

/** What a link needs, and whom it tells. */
export interface LinkContext {
  readonly channel: ChannelSettings;
  readonly meter: LoadMeter;
  readonly now: () => number;
  readonly random: () => number;
  registration(): Registration;
  registered(link: Link, message: Registered): void;
  /** A stream has ended, or none came about; the next try is in `retryInMs`. */
  lost(link: Link, code: number, message: string, retryInMs: number): void;
  drainAsked(link: Link, timeoutMs: number, cause: string): void;
  activated(link: Link, cause: string): void;
  left(link: Link): void;
}

/** Answers that the same registration will get again; to be retried slowly. */
const REFUSALS: ReadonlySet<number> = new Set([
  Status.INVALID_ARGUMENT,
  Status.ALREADY_EXISTS,
  Status.FAILED_PRECONDITION,
  Status.PERMISSION_DENIED,
  Status.UNAUTHENTICATED,
  Status.UNIMPLEMENTED,
]);

export class Link {
  readonly address: string;
  /** Named in the options, not learned from a balancer. */
  readonly configured: boolean;
  phase: LinkPhase = 'idle';
  /** What the balancer last said of itself and of this backend; undefined before that. */
  answer: Registered | undefined;
  /** How the last stream ended; undefined while one is registered. */
  lastError: { readonly code: number; readonly message: string } | undefined;
  intervalMs: number = REPORTER_LIMITS.reportIntervalMs;
  reports = 0;
  /** Streams that have failed since one was registered last. */
  failures = 0;
  /** True once the balancer itself has ended the stream after the deregistration. */
  confirmed = false;

  readonly #context: LinkContext;
  readonly #backoff: Backoff;
  #stream: ReportStream | undefined;
  /** The registration time-out, the next report, or the next try: never two of them. */
  #timer: NodeJS.Timeout | undefined;
  #registeredAt = Number.NaN;
  #lostAt = Number.NaN;
  #nextReportAt = 0;
  #congestedSince = Number.NaN;
  #reading: Reading | undefined;
  /** Set once this backend is on its way out: by when calls in flight shall be done. */
  #leaveBy: number | undefined;
  /** All has been said; only the end of the stream is waited for. */
  #closing = false;

  constructor(address: string, configured: boolean, context: LinkContext) {
    this.address = address;
    this.configured = configured;
    this.#context = context;
    this.#backoff = new Backoff(context.random);
  }

  /** Whether the last answer was that this registration is not wanted. */
  get refused(): boolean {
    return this.phase === 'waiting' && this.lastError !== undefined && REFUSALS.has(this.lastError.code);
  }

  connect(): void {
    this.#clear();
    this.phase = 'connecting';
    const { channel } = this.#context;
    try {
      const stream: ReportStream = new ReportStream(this.address, channel, {
        message: message => this.#take(message),
        end: (code, details) => this.#ended(code, details),
      });
      this.#stream = stream;
      stream.send({ $case: 'registration', value: this.#context.registration() });
    } catch (error) {
      // grpc-js throws where it can make nothing of a target.
      this.#ended(Status.INVALID_ARGUMENT, String(error));
      return;
    }
    const patienceMs = REPORTER_LIMITS.registrationTimeoutMs;
    this.#timer = later(patienceMs, () =>
      this.#stream?.abort(`no answer to the registration within ${patienceMs} ms`),
    );
    if (this.#leaveBy !== undefined) this.#giveUpIn(this.#patienceLeftMs());
  }

  /** Says anew who this backend is. */
  announce(): void {
    if (this.phase === 'registered') {
      this.#stream?.send({ $case: 'registration', value: this.#context.registration() });
    } else if (this.refused) {
      this.connect();
    }
  }

  /** Another link leads to the same instance, and the balancer keeps one stream a backend. */
  sleep(): void {
    if (this.phase !== 'registered' && this.phase !== 'waiting') return;
    this.#clear();
    this.phase = 'asleep';
  }

  /** Asks the balancer to send no more calls, and waits until it has let go. */
  leave(timeoutMs: number): void {
    if (this.#leaveBy !== undefined || this.phase === 'left') return;
    this.#leaveBy = this.#context.now() + timeoutMs;
    if (this.phase === 'registered') this.#deregister();
    else if (this.phase === 'connecting') this.#giveUpIn(Math.min(timeoutMs, REPORTER_LIMITS.gonePatienceMs));
    // A balancer that is away may still hand out this backend; one that never took it cannot.
    else if (this.phase !== 'waiting' || this.answer === undefined || this.refused) this.#gone(false);
    else this.#lost(this.lastError?.code ?? Status.UNAVAILABLE, this.lastError?.message ?? '');
  }

  /** Ends the stream. With `farewell`, says first that this backend is gone. */
  close(farewell: boolean): void {
    const stream = this.#stream;
    if (farewell && stream !== undefined && (this.phase === 'registered' || this.phase === 'leaving')) {
      if (this.phase === 'registered') {
        stream.send({ $case: 'deregistration', value: { drainTimeout: durationOf(0) } });
      }
      stream.halfClose();
      this.phase = 'leaving';
      this.#closing = true;
      this.#leaveBy = this.#context.now();
      this.#giveUpIn(REPORTER_LIMITS.closeGraceMs);
      return;
    }
    this.#gone(false);
  }

  #take(message: ReportLoadResponse): void {
    const { kind } = message;
    switch (kind?.$case) {
      case 'registered':
        this.#setInterval(millisOf(kind.value.reportInterval));
        this.#registered(kind.value);
        break;
      case 'reportInterval':
        this.#setInterval(millisOf(kind.value));
        if (this.phase === 'registered') this.#schedule(this.intervalMs);
        break;
      case 'drain':
        this.#context.drainAsked(this, millisOf(kind.value.timeout), kind.value.cause);
        break;
      case 'activate':
        this.#context.activated(this, kind.value.cause);
        break;
      default:
      // A message of a later version.
    }
  }

  #setInterval(ms: number): void {
    const { reportIntervalMs, minReportIntervalMs, maxReportIntervalMs } = REPORTER_LIMITS;
    this.intervalMs =
      ms > 0 ? Math.min(Math.max(ms, minReportIntervalMs), maxReportIntervalMs) : reportIntervalMs;
  }

  #registered(answer: Registered): void {
    this.answer = answer;
    if (this.phase === 'connecting') {
      this.phase = 'registered';
      this.lastError = undefined;
      this.failures = 0;
      this.#registeredAt = this.#context.now();
      this.#reading = this.#context.meter.read();
      // Backends that come back together shall not report together.
      this.#schedule(this.#context.random() * this.intervalMs);
    }
    this.#context.registered(this, answer);
    if (this.#leaveBy !== undefined && this.phase === 'registered') this.#deregister();
  }

  #deregister(): void {
    const leftMs = Math.min(Math.max(0, (this.#leaveBy ?? 0) - this.#context.now()), CONTROL.drainMs);
    this.phase = 'leaving';
    this.#stream?.send({ $case: 'deregistration', value: { drainTimeout: durationOf(leftMs) } });
    this.#report();
  }

  #schedule(inMs: number): void {
    if (this.#closing) return;
    clearTimeout(this.#timer);
    this.#nextReportAt = this.#context.now() + inMs;
    this.#timer = later(inMs, () => this.#report());
  }

  #report(): void {
    const { now, meter } = this.#context;
    const stream = this.#stream;
    if (stream === undefined) return;
    if (stream.congested) {
      this.#congestedSince = Number.isNaN(this.#congestedSince) ? now() : this.#congestedSince;
      const patienceMs = Math.max(REPORTER_LIMITS.stalledMs, 3 * this.intervalMs);
      if (now() - this.#congestedSince >= patienceMs) {
        stream.abort(`the balancer has taken nothing for ${Math.round(patienceMs)} ms`);
        return;
      }
    } else {
      this.#congestedSince = Number.NaN;
      const reading = meter.read();
      const from = this.#reading ?? reading;
      const value = meter.report(from, reading);
      const windowMs = reading.at - from.at;
      // A window of nothing is none: the rates are 0 then.
      const window = windowMs >= 0.001 ? durationOf(windowMs) : undefined;
      stream.send({ $case: 'load', value }, window);
      this.#reading = reading;
      this.reports += 1;
    }
    // The balancer waits for a report of no calls in flight.
    const { leavingReportMs } = REPORTER_LIMITS;
    const everyMs = this.phase === 'leaving' ? Math.min(this.intervalMs, leavingReportMs) : this.intervalMs;
    // Keeps its phase; what a blocked event loop has missed is not made up for.
    this.#schedule(Math.max(1, Math.min(everyMs, this.#nextReportAt + everyMs - now())));
  }

  #ended(code: number, details: string): void {
    // ABORTED: a newer stream of the same backend has taken this one's place, and this one's worries.
    const over = code === Status.OK || code === Status.ABORTED;
    if (this.phase === 'leaving' && over) this.#gone(true);
    else this.#lost(code, `${statusName(code)}: ${details === '' ? 'the stream was ended' : details}`);
  }

  #lost(code: number, message: string): void {
    const { now } = this.#context;
    if (this.phase === 'registered' || this.phase === 'leaving') {
      this.#lostAt = now();
      if (now() - this.#registeredAt >= REPORTER_LIMITS.steadyMs) this.#backoff.reset();
    }
    this.#clear();
    this.lastError = { code, message };
    this.failures += 1;
    this.phase = 'waiting';
    // Taken over by another process: to take it back at once would go on for ever.
    const slowly = this.refused || code === Status.ABORTED;
    const retryInMs = slowly ? this.#backoff.spread(REPORTER_LIMITS.refusedRetryMs) : this.#backoff.next();
    if (this.#leaveBy === undefined) {
      this.#timer = later(retryInMs, () => this.connect());
      this.#context.lost(this, code, message, retryInMs);
    } else {
      this.#leaveWhileLost(retryInMs);
    }
  }

  /** Comes back to say farewell, unless the balancer has ejected a backend that is silent for so long. */
  #leaveWhileLost(retryInMs: number): void {
    const restMs = this.#patienceLeftMs();
    if (restMs <= 0 || this.refused) this.#gone(false);
    else if (retryInMs < restMs) this.#timer = later(retryInMs, () => this.connect());
    else this.#giveUpIn(restMs);
  }

  /** How long a lost balancer may still hand out this backend; 0 for one that never took it. */
  #patienceLeftMs(): number {
    const patienceMs = Math.max(REPORTER_LIMITS.gonePatienceMs, 3 * this.intervalMs);
    const giveUpAt = Math.min(this.#leaveBy ?? 0, this.#lostAt + patienceMs);
    return Number.isNaN(giveUpAt) ? 0 : Math.max(0, giveUpAt - this.#context.now());
  }

  #giveUpIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = later(ms, () => this.#gone(false));
  }

  #gone(confirmed: boolean): void {
    if (this.phase === 'left') return;
    this.#clear();
    this.phase = 'left';
    this.confirmed = confirmed;
    this.#context.left(this);
  }

  #clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stream?.drop();
    this.#stream = undefined;
    this.#reading = undefined;
    this.#congestedSince = Number.NaN;
  }
}
