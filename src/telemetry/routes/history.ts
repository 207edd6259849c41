/** `GET /api/history?scope=pool&key=echo.v1.EchoService&span=180s&names=rps,p99`: points of the last minutes. */
import { HttpError, json, type Route } from '../../admin/admin.ts';
import { type HistoryReader, type Scope, SERIES } from '../history.ts';

const DEFAULT_SPAN_S = 180;
const MOST_SPAN_S = 900;

export function historyRoute(history: HistoryReader): Route {
  return {
    method: 'GET',
    path: '/api/history',
    handle: ({ query }) => {
      const scope = query.get('scope');
      if (scope === null) return json({ stepMs: history.stepMs, steps: history.steps, series: SERIES });
      if (!isScope(scope)) {
        throw new HttpError(400, `scope '${scope}': there are ${Object.keys(SERIES).join(', ')}`);
      }
      const key = query.get('key') ?? (scope === 'instance' ? '' : undefined);
      if (key === undefined) return json({ scope, keys: history.keys(scope) });
      const names = namesOf(scope, query.get('names'));
      const window = history.read(scope, key, spanMs(query.get('span')), names);
      if (window === undefined) throw new HttpError(404, `no history of ${scope} '${key}'`);
      const { stepMs, times, values } = window;
      const points = Object.fromEntries(
        // What is not known is null; four digits are more than a chart shows.
        Object.entries(values).map(([name, all]) => [name, Array.from(all, rounded)]),
      );
      return json({ scope, key, stepMs, times, values: points });
    },
  };
}

function isScope(text: string): text is Scope {
  return Object.hasOwn(SERIES, text);
}

function namesOf(scope: Scope, text: string | null): string[] | undefined {
  if (text === null || text === '') return undefined;
  const names = text.split(',');
  const wrong = names.find(name => !Object.hasOwn(SERIES[scope], name));
  if (wrong === undefined) return names;
  throw new HttpError(400, `no series '${wrong}': ${scope} has ${Object.keys(SERIES[scope]).join(', ')}`);
}

function spanMs(text: string | null): number {
  if (text === null) return DEFAULT_SPAN_S * 1000;
  const seconds = /^(\d{1,4})s?$/.exec(text)?.[1];
  if (seconds === undefined || Number(seconds) < 1 || Number(seconds) > MOST_SPAN_S) {
    throw new HttpError(400, `span '${text}': expected seconds from 1 to ${MOST_SPAN_S}, such as 180`);
  }
  return Number(seconds) * 1000;
}

function rounded(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) : null;
}
