/** `/healthz` (the process is up) and `/readyz` (it will take calls, and why not). */
import type { Route } from './admin.ts';
import { json } from './reply.ts';

export interface Readiness {
  readonly ready: boolean;
  /** What it consists of, for people and programs. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export function healthRoutes(readiness: () => Readiness): Route[] {
  return [
    { method: 'GET', path: '/healthz', anyHost: true, handle: () => json({ status: 'up' }) },
    {
      method: 'GET',
      path: '/readyz',
      anyHost: true,
      handle: () => {
        const { ready, detail } = readiness();
        return json({ status: ready ? 'ready' : 'not ready', ...detail }, ready ? 200 : 503);
      },
    },
  ];
}
