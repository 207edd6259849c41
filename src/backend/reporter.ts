/** Ties calls, samplers and balancers together: the phases of one reporter, and what it tells of itself. */
import { performance } from 'node:perf_hooks';
import type { ServerInterceptor } from '@grpc/grpc-js';

import type {
  DescriptionChanges,
  DrainOptions,
  DrainResult,
  LoadReporter,
  ReporterEvents,
  ReporterPhase,
  ReporterState,
  SignalOptions,
  StartOptions,
  StoppableServer,
} from './backend.ts';
import { Balancers } from './balancers.ts';
import { CallCounter, type CallHandle } from './calls.ts';
import { CustomMetrics } from './custom-metrics.ts';
import { drainCalls } from './drain.ts';
import { ReporterError } from './error.ts';
import { Events } from './events.ts';
import { grpcJsInterceptor } from './grpc-js.ts';
import type { Link, LinkContext } from './link.ts';
import { LoadMeter } from './load.ts';
import { type NiceGrpcMiddleware, niceGrpcMiddleware } from './nice-grpc.ts';
import {
  type BackendDescription,
  checkDescription,
  type LoadReporterOptions,
  milliseconds,
  type ResolvedOptions,
  registrationOf,
  resolveOptions,
} from './options.ts';
import { PerCallReports } from './per-call.ts';
import { Samplers } from './samplers/samplers.ts';
import { handleSignals } from './signals.ts';
import { StartWait } from './start-wait.ts';
import { keepAliveUntil, later } from './timers.ts';

const now = () => performance.now();

export class Reporter implements LoadReporter {
  readonly #options: ResolvedOptions;
  readonly #events: Events<ReporterEvents>;
  readonly #calls = new CallCounter(now);
  readonly #perCall: PerCallReports | undefined;
  readonly #balancers: Balancers;
  #description: BackendDescription;
  #phase: ReporterPhase = 'idle';
  readonly #drainCauses = new Map<string, string>();
  #started: Promise<void> | undefined;
  #startWait: StartWait | undefined;
  #drained: Promise<DrainResult> | undefined;
  #closed: Promise<void> | undefined;
  /** Told whenever a balancer has let go of this backend. */
  #onLeft: (() => void) | undefined;

  constructor(options: LoadReporterOptions) {
    this.#options = resolveOptions(options);
    this.#description = this.#options.description;
    const { logger, utilization, namedMetrics, applicationUtilization, balancers } = this.#options;
    this.#events = new Events(logger);
    const custom = new CustomMetrics(namedMetrics, utilization, logger);
    const meter = new LoadMeter(this.#calls, new Samplers(now), applicationUtilization, custom, now);
    this.#perCall = this.#options.perCallReports ? new PerCallReports(meter, now) : undefined;
    this.#balancers = new Balancers(balancers, this.#linkContext(meter), logger);
  }

  start(options: StartOptions = {}): Promise<void> {
    if (this.#started !== undefined && this.#phase !== 'closed') return this.#started;
    if (this.#phase !== 'idle') {
      return Promise.reject(new ReporterError('closed', `start() after the reporter was ${this.#phase}`));
    }
    try {
      const description =
        options.address === undefined
          ? this.#description
          : { ...this.#description, address: options.address };
      checkDescription(description);
      if (description.address === undefined) {
        throw new ReporterError(
          'invalid-options',
          'address is missing; give it to start() or to the options',
        );
      }
      this.#description = description;
      const wait = new StartWait(options, () => [...this.#balancers].filter(link => link.configured));
      this.#startWait = wait;
      this.#started = keepAliveUntil(wait.promise);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#enter('starting');
    this.#balancers.connect();
    return this.#started;
  }

  update(changes: DescriptionChanges): void {
    if (this.#phase === 'draining' || this.#phase === 'drained' || this.#phase === 'closed') {
      throw new ReporterError('closed', `update() after the reporter was ${this.#phase}`);
    }
    for (const field of ['id', 'address'] as const) {
      if (field in changes) {
        throw new ReporterError('invalid-options', `${field} cannot change; it takes another reporter`);
      }
    }
    const description = { ...this.#description, ...changes };
    checkDescription(description);
    this.#description = description;
    for (const link of this.#balancers) link.announce();
  }

  drain(options: DrainOptions = {}): Promise<DrainResult> {
    if (this.#drained === undefined) {
      try {
        const timeoutMs = milliseconds(options.timeoutMs, 'timeoutMs', this.#options.drainTimeoutMs);
        this.#drained = keepAliveUntil(this.#drain(timeoutMs));
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.#drained;
  }

  async #drain(timeoutMs: number): Promise<DrainResult> {
    if (this.#phase === 'closed' || this.#phase === 'idle') {
      if (this.#phase === 'idle') this.#enter('drained');
      return { clean: this.#calls.inFlight === 0, inFlight: this.#calls.inFlight, unconfirmed: [] };
    }
    const deadline = now() + timeoutMs;
    this.#startWait?.fail(new ReporterError('closed', 'the reporter drains'));
    this.#enter('draining');
    const taken = [...this.#balancers].filter(
      link => link.answer !== undefined && link.phase !== 'asleep' && !link.refused,
    );
    this.#balancers.leave(timeoutMs);
    await this.#allLeft(timeoutMs);
    await drainCalls(this.#calls, this.#options.settleMs, deadline, now);
    const { inFlight } = this.#calls;
    const unconfirmed = taken.filter(link => !link.confirmed).map(link => link.address);
    if (unconfirmed.length > 0) {
      this.#options.logger.warn(`heapmesh: left without a word from ${unconfirmed.join(', ')}`);
    }
    if (this.#phase === 'draining') this.#enter('drained');
    return { clean: inFlight === 0 && unconfirmed.length === 0, inFlight, unconfirmed };
  }

  close(): Promise<void> {
    this.#closed ??= keepAliveUntil(this.#close());
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#startWait?.fail(new ReporterError('closed', 'the reporter was closed'));
    this.#enter('closed');
    this.#balancers.close(true);
    await this.#allLeft(Number.POSITIVE_INFINITY);
  }

  /** Every link ends by itself within a time of its own; `timeoutMs` may be shorter. */
  #allLeft(timeoutMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = later(timeoutMs, resolve);
      const before = this.#onLeft;
      const check = () => {
        before?.();
        if (![...this.#balancers].every(link => link.phase === 'left')) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onLeft = check;
      check();
    });
  }

  callStarted(): CallHandle {
    return this.#calls.begin();
  }

  grpcJsInterceptor(): ServerInterceptor {
    return grpcJsInterceptor(this.#calls, this.#options, this.#perCall);
  }

  niceGrpcMiddleware(): NiceGrpcMiddleware {
    return niceGrpcMiddleware(this.#calls, this.#options, this.#perCall);
  }

  handleSignals(
    servers: StoppableServer | readonly StoppableServer[],
    options: SignalOptions = {},
  ): () => void {
    const all = Array.isArray(servers) ? servers : [servers as StoppableServer];
    return handleSignals(this, all, options, this.#options.logger);
  }

  on<K extends keyof ReporterEvents>(event: K, listener: (event: ReporterEvents[K]) => void): () => void {
    return this.#events.on(event, listener);
  }

  get state(): ReporterState {
    const [drainCause] = this.#drainCauses.values();
    return {
      phase: this.#phase,
      inFlight: this.#calls.inFlight,
      balancers: Array.from(this.#balancers, link => ({
        address: link.address,
        configured: link.configured,
        phase: link.phase,
        instanceId: link.answer?.instanceId ?? '',
        id: link.answer?.id ?? '',
        reportIntervalMs: link.intervalMs,
        reports: link.reports,
        ...(link.lastError === undefined ? {} : { lastError: link.lastError.message }),
      })),
      ...(drainCause === undefined ? {} : { drainCause }),
    };
  }

  #enter(phase: ReporterPhase): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.#events.emit('phase', { phase });
  }

  #linkContext(meter: LoadMeter): LinkContext {
    const { credentials, channelOptions, logger } = this.#options;
    return {
      channel: { credentials, options: channelOptions },
      meter,
      now,
      random: Math.random,
      registration: () => registrationOf(this.#description),
      registered: (link, { id, instanceId }) => {
        this.#drainCauses.delete(link.address);
        this.#balancers.registered(link);
        this.#reckon();
        logger.info(`heapmesh: registered as ${id} with ${link.address} (${instanceId})`);
        this.#events.emit('registered', { balancer: link.address, instanceId, id });
      },
      lost: (link, code, message, retryInMs) => {
        this.#lost(link, code, message, retryInMs);
      },
      drainAsked: (link, timeoutMs, cause) => {
        // A balancer that was lost on the way out says that it drains already.
        if (this.#phase === 'draining') return;
        this.#drainCauses.set(link.address, cause);
        logger.info(`heapmesh: ${link.address} drains this backend: ${cause}`);
        this.#events.emit('drain', { balancer: link.address, timeoutMs, cause });
      },
      activated: (link, cause) => {
        this.#drainCauses.delete(link.address);
        logger.info(`heapmesh: ${link.address} has activated this standby: ${cause}`);
        this.#events.emit('activate', { balancer: link.address, cause });
      },
      left: link => {
        this.#drainCauses.delete(link.address);
        this.#balancers.lost(link);
        this.#onLeft?.();
      },
    };
  }

  #lost(link: Link, code: number, message: string, retryInMs: number): void {
    this.#drainCauses.delete(link.address);
    this.#balancers.lost(link);
    this.#reckon();
    const event = { balancer: link.address, code, message, retryInMs };
    if (link.refused) {
      this.#options.logger.error(`heapmesh: ${link.address} refuses this backend: ${message}`);
      this.#events.emit('refused', event);
    } else {
      // The first failure is news; that it is still away is not.
      if (link.failures === 1) {
        this.#options.logger.warn(`heapmesh: balancer ${link.address} is away: ${message}`);
      }
      this.#events.emit('disconnected', event);
    }
  }

  /** Which phase follows from the links, while this backend is to be in the mesh. */
  #reckon(): void {
    this.#startWait?.check();
    if (this.#phase !== 'starting' && this.#phase !== 'registered' && this.#phase !== 'disconnected') return;
    const registered = [...this.#balancers].some(link => link.phase === 'registered');
    if (registered) this.#enter('registered');
    else if (this.#phase === 'registered') this.#enter('disconnected');
  }
}
