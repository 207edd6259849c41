/**
 * All metrics, in the order in which they are told. To add one: a family here or in a file of the area's own, and
 * `Registry.add` where it is wired (`src/cli/wiring/`).
 */
import { BACKENDS, POOLS } from './catalog/balancing.ts';
import { CALLS } from './catalog/calls.ts';
import { CONTROL, REGISTRY } from './catalog/control.ts';
import { HEALTH } from './catalog/health.ts';
import { INSTANCE } from './catalog/instance.ts';
import { PROXY } from './catalog/proxy.ts';
import { TELEMETRY } from './catalog/telemetry.ts';
import type { Family } from './family.ts';

export interface Area {
  /** What its metrics are of. */
  readonly title: string;
  readonly families: readonly Family[];
}

export const CATALOG: readonly Area[] = [
  { title: 'Calls', families: Object.values(CALLS) },
  { title: 'Connections and limits', families: Object.values(PROXY) },
  { title: 'Pools', families: Object.values(POOLS) },
  { title: 'Backends', families: Object.values(BACKENDS) },
  { title: 'Health', families: Object.values(HEALTH) },
  { title: 'Control API and leases', families: Object.values(CONTROL) },
  { title: 'Registry and log', families: Object.values(REGISTRY) },
  { title: 'Telemetry', families: Object.values(TELEMETRY) },
  { title: 'Process', families: Object.values(INSTANCE) },
];
