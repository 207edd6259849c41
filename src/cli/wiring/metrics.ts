/** What is counted and remembered, and where it is told. */
import type { Route } from '../../admin/admin.ts';
import type { Control } from '../../control/control.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { TransparentProxy } from '../../proxy/proxy.ts';
import { Sampler } from '../../telemetry/history/sampler.ts';
import { History, type HistoryReader } from '../../telemetry/history.ts';
import { Attempts } from '../../telemetry/metrics/attempts.ts';
import { CallCounter } from '../../telemetry/metrics/call-counter.ts';
import { historyRoute } from '../../telemetry/routes/history.ts';
import { Runtime } from '../../telemetry/runtime.ts';

export interface Metrics {
  readonly history: HistoryReader;
  readonly routes: readonly Route[];
  close(): Promise<void>;
}

export interface Measured {
  readonly mesh: Mesh;
  readonly proxy: TransparentProxy;
  readonly control: Control;
  /** Wall clock, ms since 1970. */
  readonly wall: () => number;
  readonly onError: (error: unknown) => void;
}

export function startMetrics(measured: Measured): Metrics {
  const { mesh, proxy, control, wall, onError } = measured;
  const calls = new CallCounter(new Attempts(mesh));
  const unobserve = proxy.observe(calls);
  const runtime = new Runtime();
  const history = new History();
  const sampler = new Sampler(history, { mesh, proxy, control, calls, runtime, wall }, onError);
  sampler.start();
  return {
    history,
    routes: [historyRoute(history)],
    close: async () => {
      unobserve();
      await sampler.stop();
      runtime.stop();
    },
  };
}
