/** Load reports that come with calls: `endpoint-load-metrics-bin` in trailers (gRFC A51). */
import { PROXY_LIMITS } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { OrcaLoadReport } from '../gen/xds/data/orca/v3/orca_load_report.ts';
import { sampleOf } from '../grpc/orca.ts';
import type { HeaderList } from '../http2/http2.ts';
import type { Call } from './call.ts';
import { Field } from './fields.ts';

/**
 * Feeds the report of a call's trailers, where there is one. They come with each call, so some are enough; a backend
 * that streams its load says there what matters more, at an interval that its score reckons with.
 */
export function takeReport(
  mesh: Mesh,
  call: Call,
  list: HeaderList,
  now: number,
  streamsLoad: ((id: string) => boolean) | undefined,
): void {
  const at = list.find(Field.ORCA);
  const { backend } = call;
  if (at < 0 || backend === undefined || call.lease < 0 || backend.streamsReports) return;
  if (now - backend.reportedAt < PROXY_LIMITS.callReportMs) return;
  // Another server may have the slot by now.
  if (mesh.slotOf(backend.id) !== call.slot) return;
  backend.reportedAt = now;
  if (streamsLoad?.(backend.id)) return;
  try {
    const report = OrcaLoadReport.decode(Buffer.from(list.value(at), 'base64'));
    mesh.report(call.slot, sampleOf(report, Number.NaN), now);
  } catch {
    // A trailer that cannot be read says nothing of the load; the call itself is fine.
  }
}
