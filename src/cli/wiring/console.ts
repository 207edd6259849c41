/** The console of one balancer: what it is told, from the parts that know. */
import { CallRing, consoleRoutes, type HistoryPort, type Route, type Sources } from '../../admin/admin.ts';
import type { Config } from '../../config/config.ts';
import type { Control } from '../../control/control.ts';
import { Outcome } from '../../core/core.ts';
import { ADMIN_LIMITS } from '../../core/limits.ts';
import type { Mesh } from '../../core/mesh.ts';
import { outcomeOf, Status, statusName } from '../../grpc/status.ts';
import type { Call, CallObserver, TransparentProxy } from '../../proxy/proxy.ts';
import { packageVersion } from '../commands/version.ts';

export interface ConsoleParts {
  readonly mesh: Mesh;
  readonly control: Control;
  readonly proxy: TransparentProxy;
  readonly wall: () => number;
  readonly history?: HistoryPort | undefined;
  /** Of a call that ended just now, in hexadecimal; empty where it was not traced. */
  readonly traceIdOf?: (call: Call) => string;
  readonly onError: (error: unknown) => void;
}

export interface Console {
  readonly routes: readonly Route[];
  apply(config: Config): void;
}

/** @param config what is in force at the start; `apply` brings later ones */
export function wireConsole(config: Config, parts: ConsoleParts): Console {
  const { mesh, control, proxy, wall } = parts;
  let { admin } = config;
  const calls = new CallRing({
    size: ADMIN_LIMITS.calls,
    perSecond: ADMIN_LIMITS.callsPerSecond,
    floorMs: ADMIN_LIMITS.slowMs,
  });
  proxy.observe(new CallWatch(calls, wall, parts.traceIdOf ?? (() => '')));
  const sources: Sources = {
    mesh,
    instance: { id: config.instance.id, zone: config.instance.zone },
    version: packageVersion(),
    // The proxy may not listen yet.
    get addresses() {
      return { proxy: proxy.address, control: control.address };
    },
    wall,
    settings: () => ({ writes: admin.allowWrites, traceLink: admin.traceLink }),
    history: parts.history,
    calls,
    gauges: () => {
      const { reporters, watches } = control.gauges();
      const { connections, calls: inFlight } = proxy.gauges();
      return { connections, calls: inFlight, reporters, watches };
    },
    connections: () => connectionsOf(proxy, mesh),
  };
  return {
    routes: consoleRoutes(sources, control.operator, parts.onError),
    apply: next => {
      admin = next.admin;
    },
  };
}

/** Tells the ring of calls that failed or were slow. */
class CallWatch implements CallObserver {
  private readonly ring: CallRing;
  private readonly wall: () => number;
  private readonly traceIdOf: (call: Call) => string;

  constructor(ring: CallRing, wall: () => number, traceIdOf: (call: Call) => string) {
    this.ring = ring;
    this.wall = wall;
    this.traceIdOf = traceIdOf;
  }

  began(): void {}
  attemptBegan(): void {}
  waited(): void {}
  attemptEnded(): void {}
  draining(): void {}

  ended(call: Call, status: Status, message: string): void {
    const { facts } = call;
    if (status === Status.OK) {
      // Of a stream only the beginning can be slow: how long it lives is the caller's wish.
      const isStream = facts.request.messages > 1 || facts.response.messages > 1;
      const took = (isStream ? facts.answeredAt : facts.endedAt) - call.received;
      if (took > this.ring.slowMs && this.ring.wants('slow', facts.endedAt))
        this.note(call, status, '', 'slow');
    } else if (outcomeOf(status) === Outcome.FAILURE && this.ring.wants('failed', facts.endedAt)) {
      this.note(call, status, message, 'failed');
    }
  }

  private note(call: Call, status: Status, message: string, why: 'failed' | 'slow'): void {
    const { facts } = call;
    this.ring.note({
      time: this.wall(),
      path: call.path,
      serverId: call.backend?.id ?? '',
      status: statusName(status),
      message,
      durationMs: facts.endedAt - call.received,
      waitedMs: facts.waitedMs,
      attempts: Math.max(call.attempts, facts.sends),
      traceId: this.traceIdOf(call),
      why,
    });
  }
}

function connectionsOf(proxy: TransparentProxy, mesh: Mesh): ReturnType<Sources['connections']> {
  const now = mesh.now();
  const oldest: Call[] = [];
  let callsInAll = 0;
  // Sorting all of them would hold up calls where many are open.
  proxy.eachCall(call => {
    callsInAll++;
    const isFull = oldest.length === ADMIN_LIMITS.listed;
    if (isFull && call.received >= (oldest.at(-1) as Call).received) return;
    const at = oldest.findLastIndex(({ received }) => received <= call.received) + 1;
    if (isFull) oldest.pop();
    oldest.splice(at, 0, call);
  });
  return {
    ...proxy.connections(ADMIN_LIMITS.listed),
    calls: oldest.map(call => ({
      n: call.index,
      path: call.path,
      serverId: call.backend?.id ?? '',
      ageMs: now - call.received,
      waiting: call.backendEnd === undefined,
      requestMessages: call.facts.request.messages,
      responseMessages: call.facts.response.messages,
      requestBytes: call.facts.requestBytes,
      responseBytes: call.facts.responseBytes,
    })),
    callsInAll,
  };
}
