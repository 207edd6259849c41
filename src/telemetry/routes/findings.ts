/** `GET /api/findings`: what `heapmesh diagnose` prints. */
import { json, type Route } from '../../admin/admin.ts';
import type { Findings } from '../findings.ts';

export function findingsRoute(findings: Findings): Route {
  return { method: 'GET', path: '/api/findings', handle: async () => json(await findings.report()) };
}
