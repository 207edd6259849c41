/** `GET /metrics`: Prometheus text, or OpenMetrics where the collector asks for it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HttpError, type Reply, type Route } from '../../admin/admin.ts';
import { CONTENT_TYPES, type Format } from '../metrics/lines.ts';
import type { Registry } from '../metrics/registry.ts';

export function metricsRoute(registry: Registry): Route {
  return {
    method: 'GET',
    path: '/metrics',
    // A collector comes by whatever name its discovery has; there is nothing that a page of another site could read.
    anyHost: true,
    handle: async ({ header }): Promise<Reply> => {
      const format = formatFor(header('accept') ?? '');
      const parts = registry.render(format);
      if (parts === undefined) throw new HttpError(503, 'too many scrapes at once', { 'retry-after': '1' });
      return { type: CONTENT_TYPES[format], body: oneByOne(await parts) };
    },
  };
}

function formatFor(accept: string): Format {
  return accept.includes('application/openmetrics-text') ? 'openmetrics' : 'prometheus';
}

/** Sending a part takes half a millisecond and more: calls have their turn in between. */
async function* oneByOne(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    yield part;
    await nextTurn();
  }
}
