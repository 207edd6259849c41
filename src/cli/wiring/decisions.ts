/** Notes a share of all picks in the log, each with what it was made from and the trace of the call that it was for. */
import type { Config } from '../../config/config.ts';
import { type PickAsker, traceparentOf } from '../../control/control.ts';
import type { Mesh } from '../../core/mesh.ts';
import { parseTraceparent } from '../../grpc/trace-context.ts';
import { Call, TRACEPARENT } from '../../proxy/proxy.ts';
import { encodeDecision } from '../../state/decision-codec.ts';
import type { FileLog } from '../../state/file-log.ts';
import { REGISTRY } from '../../telemetry/metrics/catalog/control.ts';
import type { Registry } from '../../telemetry/metrics/registry.ts';
import type { Logger } from '../../telemetry/telemetry.ts';

/** The trace that a proxied call is recorded in; undefined where it is not. */
type TraceOf = (call: Call) => string | undefined;

export interface NotedPicks {
  /** Goes on with the traces of calls, and has what is noted counted. */
  tell(registry: Registry, traceOf: TraceOf): void;
}

/** Where the log takes none. */
export const NOTHING_NOTED: NotedPicks = {
  tell(registry) {
    registry.add(REGISTRY.decisions, out => {
      out.add(0, 'noted');
      out.add(0, 'dropped');
    });
  },
};

export function noteDecisions(
  { sampleRatio, traced }: Config['state']['decisions'],
  log: FileLog,
  mesh: Mesh,
  { wall, logger }: { readonly wall: () => number; readonly logger: Logger },
): NotedPicks {
  let traceOf: TraceOf = () => undefined;
  const noted: NotedPicks = {
    tell(registry, of) {
      traceOf = of;
      registry.add(REGISTRY.decisions, out => {
        out.add(log.asides.taken, 'noted');
        out.add(log.asides.dropped, 'dropped');
      });
    },
  };
  if (sampleRatio === 0 && !traced) return noted;
  // A PickServer call that is recorded asks by its span.
  const isTraced = (asker: object | undefined): boolean =>
    asker instanceof Call ? traceOf(asker) !== undefined : asker !== undefined && 'context' in asker;
  mesh.witnessPicks({
    idOf: slot => mesh.idOf(slot),
    wants: asker => Math.random() < sampleRatio || (traced && isTraced(asker)),
    witness: (decision, slot, asker) => {
      const serverId = slot < 0 ? '' : mesh.idOf(slot);
      const traceId = asker === undefined ? '' : traceIdOf(asker, traceOf);
      if (log.aside(encodeDecision({ ...decision, time: wall(), serverId, traceId }))) return;
      if (log.status().state !== 'healthy') return;
      logger.warn(
        'picks that were to be noted are dropped: the disk does not keep up. state.decisions.sampleRatio says how many are noted',
      );
    },
  });
  return noted;
}

function traceIdOf(asker: object, traceOf: TraceOf): string {
  if (!(asker instanceof Call)) return parseTraceparent(traceparentOf(asker as PickAsker))?.traceId ?? '';
  const own = traceOf(asker);
  if (own !== undefined) return own;
  const head = asker.requestHead;
  const at = head === undefined ? -1 : head.find(TRACEPARENT);
  return (at < 0 ? undefined : parseTraceparent(head?.value(at) ?? ''))?.traceId ?? '';
}
