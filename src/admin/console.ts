/** The console: its page, what it reads, and what it can do. */
import type { OperatorActions } from '../control/control.ts';
import type { Route } from './admin.ts';
import { actionRoutes } from './api/actions.ts';
import { Feed } from './api/feed.ts';
import { readRoutes } from './api/reads.ts';
import type { Sources } from './api/sources.ts';
import { StateCounts } from './api/state-counts.ts';
import { Turns } from './api/turns.ts';
import { openConsole } from './assets.ts';

export { CallRing } from './api/call-ring.ts';
export type { CallsPort, Gauges, HistoryPort, Sources } from './api/sources.ts';

export function consoleRoutes(
  sources: Sources,
  operator: OperatorActions,
  onError: (error: unknown) => void,
): readonly Route[] {
  const { build, routes } = openConsole();
  const turns = new Turns();
  const states = new StateCounts(sources.mesh.registry);
  const feed = new Feed(sources, build, onError, { turns, states });
  return [
    ...routes,
    ...readRoutes(sources, turns, states),
    ...actionRoutes(operator),
    {
      method: 'GET',
      path: '/api/stream',
      handle: ({ query, gone }) => ({
        type: 'text/event-stream',
        body: feed.open({ service: query.get('service') ?? '', zone: query.get('zone') ?? '' }, gone),
        // A proxy in front shall not wait until there is more.
        headers: { 'x-accel-buffering': 'no' },
      }),
    },
  ];
}
