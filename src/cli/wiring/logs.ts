/** The access log, and the level of the log as it can be changed while running. */
import { HttpError, json, type Route } from '../../admin/admin.ts';
import type { Config } from '../../config/config.ts';
import { systemClock } from '../../control/clock.ts';
import { LOG_LIMITS } from '../../core/limits.ts';
import type { TransparentProxy } from '../../proxy/proxy.ts';
import {
  AccessLog,
  type AccessLogSettings,
  LOG_LEVELS,
  type Logger,
  type LogLevel,
  type Tracing,
} from '../../telemetry/telemetry.ts';

export interface LogsPart {
  readonly routes: readonly Route[];
  /** Tells it of the proxy's calls. */
  attach(proxy: TransparentProxy, tracing: Tracing | undefined): void;
  apply(config: Config): void;
  close(): void;
}

export function wireLogs(config: Config, logger: Logger): LogsPart {
  let settings = settingsOf(config);
  let log: AccessLog | undefined;
  let ticker: NodeJS.Timeout | undefined;
  return {
    routes: levelRoutes(logger),
    attach(proxy, tracing) {
      const made = new AccessLog({
        logger,
        settings,
        random: Math.random,
        now: systemClock.now,
        traceOf: call => tracing?.traceOf(call),
      });
      log = made;
      let stop: (() => void) | undefined;
      // Nobody is told of calls for a log that tells of none.
      const follow = (): void => {
        if (tellsOf(settings)) stop ??= proxy.observe(made);
        else {
          stop?.();
          stop = undefined;
        }
      };
      follow();
      ticker = setInterval(() => {
        follow();
        made.tick(visit => proxy.eachCall(visit));
      }, LOG_LIMITS.tickMs).unref();
    },
    apply(next) {
      settings = settingsOf(next);
      log?.configure(settings);
    },
    close: () => clearInterval(ticker),
  };
}

function tellsOf({ sampleRatio, errors, slowerThanMs }: AccessLogSettings): boolean {
  return sampleRatio > 0 || errors || slowerThanMs < Number.POSITIVE_INFINITY;
}

function settingsOf({ telemetry }: Config): AccessLogSettings {
  const { slowerThanMs = Number.POSITIVE_INFINITY, ...rest } = telemetry.accessLog;
  return { ...rest, slowerThanMs };
}

/** `/api/log-level`: what it is, and another one until the next start or change of the file. */
function levelRoutes(logger: Logger): Route[] {
  const path = '/api/log-level';
  return [
    { method: 'GET', path, handle: () => json({ level: logger.level, levels: LOG_LEVELS }) },
    {
      method: 'PUT',
      path,
      handle: ({ body }) => {
        const level = levelIn(body.toString());
        const before = logger.level;
        const tell = (): void => {
          if (level !== before) logger.warn(`log level: ${before} to ${level}, until the next start`);
        };
        // While it is seen: a change to `error` is told before, one from it after.
        if (level === 'error') tell();
        logger.setLevel(level);
        if (level !== 'error') tell();
        return json({ level, before });
      },
    },
  ];
}

function levelIn(body: string): LogLevel {
  let given: unknown;
  try {
    given = (JSON.parse(body) as { level?: unknown } | null)?.level;
  } catch {
    given = undefined;
  }
  const level = LOG_LEVELS.find(each => each === given);
  if (level === undefined) {
    throw new HttpError(400, `expected {"level": "${LOG_LEVELS.join('" | "')}"}`);
  }
  return level;
}
