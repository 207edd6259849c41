/**
 * The access log: a line for calls by a rule. Calls that failed are told of always, by default, and a flood of the
 * same failure is folded; of the others a share. A stream that is in the share is told of while it is open.
 */
import { Outcome } from '../../core/core.ts';
import { LOG_LIMITS } from '../../core/limits.ts';
import { outcomeOf, type Status, statusName } from '../../grpc/status.ts';
import { parseTraceparent } from '../../grpc/trace-context.ts';
import type { HeaderList } from '../../http2/http2.ts';
import { type Call, type CallObserver, endedByName } from '../../proxy/proxy.ts';
import type { Logger } from '../telemetry.ts';
import { TraceParents } from '../trace-parents.ts';

export interface AccessLogSettings {
  /** Share of calls that are told of, whatever comes of them, 0 to 1. */
  readonly sampleRatio: number;
  /** Calls that failed are told of. */
  readonly errors: boolean;
  /** So are calls that took longer, ms; Infinity: none. */
  readonly slowerThanMs: number;
  /** Time between two lines of a stream that is open, ms. */
  readonly streamIntervalMs: number;
  /** Names of request metadata whose values are told. No others ever are. */
  readonly metadata: readonly string[];
}

export interface AccessLogOptions {
  readonly logger: Logger;
  readonly settings: AccessLogSettings;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** The trace that a call is recorded in. */
  readonly traceOf: (call: Call) => string | undefined;
}

type Fields = Record<string, unknown>;

/** Of a call that is not in the share, and of one that is and was not told of yet. */
const NOT = Number.NaN;
const NOT_YET = 0;

export class AccessLog implements CallObserver {
  private readonly options: AccessLogOptions;
  private settings: AccessLogSettings;
  /** By the call's index: when it was told of last, ms. */
  private readonly told: number[] = [];
  private readonly values: (Fields | undefined)[] = [];
  private readonly parents = new TraceParents();

  constructor(options: AccessLogOptions) {
    this.options = options;
    this.settings = options.settings;
  }

  configure(settings: AccessLogSettings): void {
    this.settings = settings;
  }

  /** Tells of streams that are open; to be called each `LOG_LIMITS.tickMs`. */
  tick(eachCall: (visit: (call: Call) => void) => void): void {
    if (this.settings.sampleRatio === 0) return;
    const now = this.options.now();
    eachCall(call => {
      const last = this.told[call.index] ?? NOT;
      if (Number.isNaN(last) || call.isOver) return;
      if (last === NOT_YET) {
        this.told[call.index] = now;
        this.say('info', `stream ${methodOf(call)} is open`, this.fieldsOf(call, now));
      } else if (now - last >= this.settings.streamIntervalMs - LOG_LIMITS.tickMs / 2) {
        this.told[call.index] = now;
        this.say('info', `stream ${methodOf(call)} goes on`, this.fieldsOf(call, now));
      }
    });
  }

  began(call: Call, list: HeaderList): void {
    const { settings, options } = this;
    const isSampled = settings.sampleRatio > 0 && options.random() < settings.sampleRatio;
    this.told[call.index] = isSampled ? NOT_YET : NOT;
    this.parents.keep(call.index, list);
    if (settings.metadata.length > 0) this.values[call.index] = valuesOf(list, settings.metadata);
  }

  attemptBegan(): void {}
  waited(): void {}
  attemptEnded(): void {}
  draining(): void {}

  ended(call: Call, status: Status, message: string): void {
    const { settings } = this;
    const last = this.told[call.index] ?? NOT;
    this.told[call.index] = NOT;
    const failed = outcomeOf(status) === Outcome.FAILURE;
    const { endedAt } = call.facts;
    const tells =
      !Number.isNaN(last) || (failed && settings.errors) || endedAt - call.received > settings.slowerThanMs;
    if (tells) {
      const fields = this.fieldsOf(call, endedAt);
      fields.status = statusName(status);
      fields.ended_by = endedByName(call.facts.endedBy);
      if (message !== '') fields.cause = message;
      const what = last > NOT_YET ? 'stream' : 'call';
      const text = `${what} ${methodOf(call)}: ${statusName(status)}`;
      this.say(failed ? 'warn' : 'info', text, fields, `${text} ${call.backend?.id ?? ''}`);
    }
    this.values[call.index] = undefined;
  }

  private say(level: 'info' | 'warn', text: string, fields: Fields, same?: string): void {
    const { logger } = this.options;
    if (level === 'info') logger.info(text, fields);
    else logger.warn(text, fields, same);
  }

  private fieldsOf(call: Call, now: number): Fields {
    const { facts, pool, backend, caller, index } = call;
    const traced = this.options.traceOf(call) ?? parseTraceparent(this.parents.of(index))?.traceId;
    const metadata = this.values[index];
    return {
      method: methodOf(call),
      ...(pool === undefined ? {} : { pool: pool.service }),
      ...(backend === undefined ? {} : { backend: backend.id }),
      duration_ms: round(now - call.received),
      ...(facts.waitedMs > 0 ? { queue_ms: round(facts.waitedMs) } : {}),
      ...(facts.sends > 1 ? { attempts: facts.sends } : {}),
      request_messages: facts.request.messages,
      request_bytes: facts.requestBytes,
      response_messages: facts.response.messages,
      response_bytes: facts.responseBytes,
      ...(caller === undefined ? {} : { caller: `${caller.peer.host}:${caller.peer.port}` }),
      ...(traced === undefined ? {} : { trace_id: traced }),
      ...(metadata === undefined ? {} : { metadata }),
    };
  }
}

function methodOf(call: Call): string {
  return call.path.slice(1, LOG_LIMITS.metadataValue);
}

function valuesOf(list: HeaderList, names: readonly string[]): Fields | undefined {
  let found: Fields | undefined;
  for (const name of names) {
    const at = list.findName(name);
    if (at < 0) continue;
    found ??= {};
    found[name] = list.value(at).slice(0, LOG_LIMITS.metadataValue);
  }
  return found;
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
