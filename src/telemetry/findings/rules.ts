/** All rules, those that stop calls first. A new one is a file in `rules/` and a name here. */
import type { Rule } from './finding.ts';
import { backendFailing } from './rules/backend-failing.ts';
import { backendSaturated } from './rules/backend-saturated.ts';
import { backendSlow } from './rules/backend-slow.ts';
import { balancerBusy } from './rules/balancer-busy.ts';
import { exporterDropping } from './rules/exporter-dropping.ts';
import { flowControl } from './rules/flow-control.ts';
import { noBackend } from './rules/no-backend.ts';
import { pinnedStreams } from './rules/pinned-streams.ts';
import { staleReports } from './rules/stale-reports.ts';
import { stateLog } from './rules/state-log.ts';
import { streamLimit } from './rules/stream-limit.ts';
import { tooFewBackends } from './rules/too-few-backends.ts';
import { unevenSpread } from './rules/uneven-spread.ts';

export const RULES: readonly Rule[] = [
  noBackend,
  tooFewBackends,
  streamLimit,
  stateLog,
  balancerBusy,
  backendFailing,
  staleReports,
  backendSaturated,
  backendSlow,
  flowControl,
  pinnedStreams,
  unevenSpread,
  exporterDropping,
];
