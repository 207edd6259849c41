/** What is counted and remembered, and where it is told. */
import type { Route } from '../../admin/admin.ts';
import type { Control } from '../../control/control.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { TransparentProxy } from '../../proxy/proxy.ts';
import type { Log } from '../../state/log.ts';
import { Findings } from '../../telemetry/findings.ts';
import { Sampler } from '../../telemetry/history/sampler.ts';
import { History, type HistoryReader } from '../../telemetry/history.ts';
import { Attempts } from '../../telemetry/metrics/attempts.ts';
import { CallCounter } from '../../telemetry/metrics/call-counter.ts';
import { Registry } from '../../telemetry/metrics/registry.ts';
import { tellBackends, tellPools } from '../../telemetry/metrics/sources/balancing.ts';
import { tellCalls } from '../../telemetry/metrics/sources/calls.ts';
import { tellControl, tellRegistry } from '../../telemetry/metrics/sources/control.ts';
import { tellInstance } from '../../telemetry/metrics/sources/instance.ts';
import { tellProxy } from '../../telemetry/metrics/sources/proxy.ts';
import { type SpanCountsNow, tellLines, tellSpans } from '../../telemetry/metrics/sources/telemetry.ts';
import { findingsRoute } from '../../telemetry/routes/findings.ts';
import { historyRoute } from '../../telemetry/routes/history.ts';
import { metricsRoute } from '../../telemetry/routes/metrics.ts';
import { Runtime } from '../../telemetry/runtime.ts';
import type { RootLogger } from '../../telemetry/telemetry.ts';
import { packageVersion } from '../commands/version.ts';

export interface Metrics {
  readonly history: HistoryReader;
  /** Other parts add what they count. */
  readonly registry: Registry;
  /** Counts calls; told of traces by who makes them. */
  readonly calls: CallCounter;
  readonly routes: readonly Route[];
  close(): Promise<void>;
}

export interface Measured {
  /** Its id. */
  readonly instance: string;
  readonly mesh: Mesh;
  readonly proxy: TransparentProxy;
  readonly control: Control;
  /** Of traces; undefined where there are none. */
  readonly spans: SpanCountsNow | undefined;
  /** Of the log that people read; undefined where nobody counts. */
  readonly lines: RootLogger['counts'] | undefined;
  readonly log: Log;
  /** Wall clock, ms since 1970. */
  readonly wall: () => number;
  readonly onError: (error: unknown) => void;
}

export function startMetrics(measured: Measured): Metrics {
  const { instance, mesh, proxy, control, spans, log, wall, onError } = measured;
  const calls = new CallCounter(new Attempts(mesh), wall);
  const unobserve = proxy.observe(calls);
  const runtime = new Runtime();
  const history = new History();
  const spansDropped = (): number => (spans === undefined ? 0 : spans().dropped + spans().failed);
  const observed = { mesh, proxy, control, calls, runtime, log, spansDropped, wall };
  const sampler = new Sampler(history, observed, onError);
  const findings = new Findings({
    instance,
    mesh,
    history,
    log: () => ({ kind: log.kind, ...log.status() }),
    wall,
  });
  const registry = new Registry();
  tellCalls(registry, calls, proxy);
  tellProxy(registry, proxy, mesh.leases);
  tellPools(registry, mesh, history);
  tellBackends(registry, mesh, proxy);
  tellControl(registry, control, mesh);
  const unfollow = tellRegistry(registry, mesh, log);
  tellInstance(registry, { id: instance, version: packageVersion() }, { runtime, mesh, calls, wall });
  tellSpans(registry, spans);
  tellLines(registry, measured.lines);
  sampler.start();
  return {
    history,
    registry,
    calls,
    routes: [metricsRoute(registry), historyRoute(history), findingsRoute(findings)],
    close: async () => {
      unobserve();
      unfollow();
      await sampler.stop();
      runtime.stop();
    },
  };
}
