/** Tells of connections and limits. */
import type { LeaseTable } from '../../../core/lease.ts';
import { errorName, ResetCause } from '../../../http2/http2.ts';
import type { TransparentProxy } from '../../../proxy/proxy.ts';
import { PROXY } from '../catalog/proxy.ts';
import type { Registry } from '../registry.ts';

const CAUSES: readonly string[] = Object.keys(ResetCause).map(name => name.toLowerCase());

export function tellProxy(registry: Registry, proxy: TransparentProxy, leases: LeaseTable): void {
  const { counters, faults } = proxy;
  registry.add(PROXY.callerConnections, out => out.add(proxy.gauges().connections));
  registry.add(PROXY.callerConnectionsTotal, out => out.add(counters.accepted));
  registry.add(PROXY.stalledCallers, out => out.add(proxy.gauges().stalled));
  registry.add(PROXY.notGrpc, out => out.add(counters.notGrpc));
  registry.add(PROXY.dials, out => {
    out.add(counters.connected, 'connected');
    out.add(counters.unreachable, 'failed');
    out.add(counters.broken, 'lost');
  });
  registry.add(PROXY.goaways, out => out.add(counters.goaways));
  registry.add(PROXY.callerResets, out => {
    for (const [code, count] of counters.callerResets.entries()) {
      if (count > 0) out.add(count, codeOf(code, counters.callerResets));
    }
  });
  registry.add(PROXY.backendResets, out => {
    for (const [cause, counts] of counters.backendResets.entries()) {
      for (const [code, count] of counts.entries()) {
        if (count > 0) out.add(count, CAUSES[cause] as string, codeOf(code, counts));
      }
    }
  });
  registry.add(PROXY.limits, out => {
    out.add(counters.queueFull, 'calls_waiting_for_a_backend');
    out.add(counters.connectionsFull, 'connections_to_a_backend');
    out.add(counters.budgetSpent, 'retry_budget');
    out.add(leases.forced, 'open_leases');
  });
  registry.add(PROXY.faults, out => {
    for (const [fault, count] of Object.entries(faults.connection)) out.add(count, 'connection', fault);
    for (const [fault, count] of Object.entries(faults.stream)) out.add(count, 'stream', fault);
  });
}

/** The last cell counts what is no code of RFC 9113. */
function codeOf(code: number, counts: ArrayLike<number>): string {
  return code === counts.length - 1 ? 'unknown' : errorName(code);
}
