/** Tells of spans and of lines of the log. */
import type { RootLogger } from '../../logs/logger.ts';
import type { SpanCounts } from '../../tracing/tracing.ts';
import { TELEMETRY } from '../catalog/telemetry.ts';
import type { Registry } from '../registry.ts';

export type SpanCountsNow = () => Readonly<SpanCounts> & { readonly waiting: number };

const NONE: ReturnType<SpanCountsNow> = { recorded: 0, exported: 0, dropped: 0, failed: 0, waiting: 0 };

/** @param spans undefined where nothing is traced */
export function tellSpans(registry: Registry, spans: SpanCountsNow | undefined): void {
  const now = spans ?? (() => NONE);
  registry.add(TELEMETRY.spans, out => {
    const { recorded, exported, dropped, failed } = now();
    out.add(recorded, 'recorded');
    out.add(exported, 'exported');
    out.add(dropped, 'dropped_queue_full');
    out.add(failed, 'failed');
  });
  registry.add(TELEMETRY.spansWaiting, out => out.add(now().waiting));
}

/** @param lines undefined where nobody counts them */
export function tellLines(registry: Registry, lines: RootLogger['counts'] | undefined): void {
  registry.add(TELEMETRY.lines, out => {
    const { written, dropped, folded } = lines?.() ?? { written: 0, dropped: 0, folded: 0 };
    out.add(written, 'written');
    out.add(dropped, 'dropped');
    out.add(folded, 'folded');
  });
}
