/**
 * What time does to a server's life: the grace of a backend whose stream broke off, the end of a drain,
 * and the forgetting of those that nobody claims. All of it ends in proposals; the registry decides.
 */
import { connect } from 'node:net';
import type { ServerView } from '../core/core.ts';
import { CONTROL } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { parseHostPort } from './address.ts';
import type { Clock } from './clock.ts';
import type { ControlCounters } from './counters.ts';

export interface LifecycleOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly counters: ControlCounters;
  readonly settings: () => { readonly reportGraceMs: number; readonly forgetAfterMs: number };
}

/** A drain is not over before callers can have learned of it, however empty the server looks, ms. */
const SETTLE_MS = 250;
/** How often a draining server is looked at, ms. */
const DRAIN_LOOK_MS = 50;
/**
 * When a port is tried after its stream was reset, ms: a dying process closes its descriptors one by
 * one, and the listening one may still stand for a moment. All within the 250 ms in which callers
 * must be kept away.
 */
const PROBE_TIMES_MS = [0, 20, 60, 120, 200];

/** A backend whose stream broke off. */
interface Grace {
  callOff: () => void;
  /** Ends the trying of its port. */
  endProbe: () => void;
}

export class Lifecycle {
  private readonly options: LifecycleOptions;
  private readonly graces = new Map<string, Grace>();
  private readonly forgetting = new Map<string, () => void>();
  /** Draining servers by the time at which their drain began, on the core's clock. */
  private readonly drains = new Map<string, number>();
  private callOffLook: (() => void) | undefined;
  private stopped = false;

  constructor(options: LifecycleOptions) {
    this.options = options;
  }

  /**
   * Takes up what was known before the start. Backends that a recovered list claims by stream have not
   * reported to this life yet: they get as long as their back-off may take.
   */
  start(): void {
    for (const view of this.options.mesh.registry.list()) {
      const { id } = view.spec;
      this.changed(id, view);
      if (view.sources.includes('stream')) {
        const graceMs = Math.max(CONTROL.recoveryGraceMs, this.options.settings().reportGraceMs);
        this.beginGrace(id, graceMs, `no report stream since the balancer's start`);
      }
    }
  }

  stop(): void {
    this.stopped = true;
    for (const id of [...this.graces.keys()]) this.attached(id);
    for (const callOff of this.forgetting.values()) callOff();
    this.forgetting.clear();
    this.drains.clear();
    this.callOffLook?.();
  }

  changed(id: string, after: ServerView | undefined): void {
    if (this.stopped) return;
    if (after !== undefined && after.sources.length === 0) this.beginForgetting(id);
    else this.endForgetting(id);
    if (after?.state === 'DRAINING' && after.drain?.empty === false) this.beginDrain(id, after);
    else this.drains.delete(id);
  }

  /** The backend's stream is there: no grace runs any more. */
  attached(id: string): void {
    const grace = this.graces.get(id);
    this.graces.delete(id);
    grace?.callOff();
    grace?.endProbe();
  }

  /**
   * The backend's stream is gone without a deregistration. `reset`: by a reset or a lost connection,
   * and then a port that refuses is proof enough.
   */
  detached(id: string, address: string, reset: boolean): void {
    if (this.stopped) return;
    this.options.counters.reportersLost++;
    const { reportGraceMs } = this.options.settings();
    const grace = this.beginGrace(id, reportGraceMs, 'its report stream ended and did not come back');
    if (reset) this.probe(id, address, grace, 0);
  }

  /** The backend has taken its leave. */
  leave(id: string): void {
    this.attached(id);
    this.options.mesh.registry.propose(
      { kind: 'unclaim', source: 'stream', id, how: 'left' },
      'took its leave',
    );
  }

  /** Its stream is known to be dead and its claim is void: for a newcomer that takes the id over. */
  lose(id: string, cause: string): void {
    this.attached(id);
    this.options.mesh.registry.propose({ kind: 'unclaim', source: 'stream', id, how: 'lost' }, cause);
  }

  private beginGrace(id: string, graceMs: number, cause: string): Grace {
    this.attached(id);
    const callOff = this.options.clock.after(graceMs, () => {
      this.attached(id);
      this.options.counters.ejectedSilent++;
      this.eject(id, `${cause} within ${graceMs / 1000} s`, false);
    });
    const grace: Grace = { callOff, endProbe() {} };
    this.graces.set(id, grace);
    return grace;
  }

  /**
   * `refused`: it is known to be gone. Otherwise silence speaks against it only where nobody else
   * claims it: a server of the configuration that stops reporting may serve on, and has health checks.
   */
  private eject(id: string, cause: string, refused: boolean): void {
    const { registry } = this.options.mesh;
    const view = registry.get(id);
    if (view === undefined) return;
    const alone = view.sources.every(source => source === 'stream');
    if (view.state !== 'DRAINING' && (refused || alone)) {
      const observation = { phase: 'ejected', healthy: false } as const;
      registry.propose({ kind: 'observe', id, observation }, cause);
    }
    registry.propose({ kind: 'unclaim', source: 'stream', id, how: 'lost' }, cause);
  }

  /** Tries the port until it refuses, the backend is back, or the times are over: then the grace decides. */
  private probe(id: string, address: string, grace: Grace, attempt: number): void {
    const target = parseHostPort(address);
    const waitMs = (PROBE_TIMES_MS[attempt] ?? 0) - (PROBE_TIMES_MS[attempt - 1] ?? 0);
    if (typeof target === 'string' || attempt >= PROBE_TIMES_MS.length) return;
    grace.endProbe = this.options.clock.after(waitMs, () => {
      const socket = connect({ ...target, timeout: CONTROL.probeTimeoutMs });
      let open = true;
      const end = () => {
        open = false;
        socket.destroy();
      };
      const next = () => {
        if (!open) return;
        end();
        this.probe(id, address, grace, attempt + 1);
      };
      grace.endProbe = end;
      socket.once('connect', next);
      socket.once('timeout', next);
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNREFUSED' || !open) return next();
        end();
        this.attached(id);
        this.options.counters.ejectedRefused++;
        this.eject(id, `its report stream was reset and ${address} refuses connections`, true);
      });
    });
  }

  private beginForgetting(id: string): void {
    if (this.forgetting.has(id)) return;
    const { clock, mesh, settings } = this.options;
    const ms = settings().forgetAfterMs;
    const callOff = clock.after(ms, () => {
      this.forgetting.delete(id);
      mesh.registry.propose({ kind: 'forget', id }, `nobody has claimed it for ${ms / 1000} s`);
    });
    this.forgetting.set(id, callOff);
  }

  private endForgetting(id: string): void {
    this.forgetting.get(id)?.();
    this.forgetting.delete(id);
  }

  private beginDrain(id: string, view: ServerView): void {
    const { clock } = this.options;
    // The list's wall clock tells how long a drain has run that began before this instance did.
    const elapsed = Math.max(0, clock.wall() - view.stateTime);
    if (!this.drains.has(id)) this.drains.set(id, clock.now() - elapsed);
    this.lookLater();
  }

  private lookLater(): void {
    this.callOffLook ??= this.options.clock.after(DRAIN_LOOK_MS, () => {
      this.callOffLook = undefined;
      for (const [id, since] of [...this.drains]) this.lookAtDrain(id, since);
      if (this.drains.size > 0) this.lookLater();
    });
  }

  private lookAtDrain(id: string, since: number): void {
    const { mesh, clock } = this.options;
    const drain = mesh.registry.get(id)?.drain;
    if (drain === undefined) {
      this.drains.delete(id);
      return;
    }
    const now = clock.now();
    const late = now - since >= drain.timeoutMs;
    if (!late && !this.isEmpty(id, since, now)) return;
    this.drains.delete(id);
    const cause = late ? `drained for ${drain.timeoutMs / 1000} s` : 'drained: no calls in flight any more';
    mesh.registry.propose({ kind: 'drained', id }, cause);
  }

  /**
   * No own call in flight, and none that the backend told of. A backend that reports must have done so
   * once callers can have heard of the drain, or a call on its way would be overlooked.
   */
  private isEmpty(id: string, since: number, now: number): boolean {
    const { loads } = this.options.mesh;
    const slot = this.options.mesh.slotOf(id);
    if (slot < 0) return true;
    if (now - since < SETTLE_MS || loads.own(slot) > 0) return false;
    const reportTime = loads.reportTime[slot] as number;
    if (reportTime === Number.NEGATIVE_INFINITY) return true;
    return reportTime >= since + SETTLE_MS && !((loads.reported[slot] as number) > 0);
  }
}
