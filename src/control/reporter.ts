/**
 * One report stream: registration, then reports, until it takes its leave or breaks off.
 *
 *   waiting ──registration──> registering ──> registered ──deregistration──> leaving ──> over
 *                                  └── refused ──> over      └── broken off ──> over (its grace runs)
 */
import type { LoadSample, ServerSpec } from '../core/core.ts';
import { CONTROL } from '../core/limits.ts';
import type { Duration } from '../gen/google/protobuf/duration.ts';
import {
  type Deregistration,
  type Registration,
  type ReportLoadRequest,
  ReportLoadResponse,
} from '../gen/heapmesh/v1/load_report.ts';
import type { OrcaLoadReport } from '../gen/xds/data/orca/v3/orca_load_report.ts';
import { Status } from '../grpc/status.ts';
import { demand } from './authorize.ts';
import { publish } from './channels.ts';
import type { Reporters } from './reporters.ts';
import { type Link, type Peer, type Receiver, RpcError, type Sink } from './rpc.ts';
import { validClaim, validDuration, validLoad } from './validate.ts';

type Phase = 'waiting' | 'registering' | 'registered' | 'leaving' | 'over';
type Kind = NonNullable<ReportLoadResponse['kind']>;

export class Reporter implements Receiver<ReportLoadRequest> {
  readonly peer: Peer;
  readonly link: Link;
  /** Of the server; empty before its registration. */
  id = '';
  /** `host:port` of the server. */
  address = '';
  /** What it claims; undefined before its registration. */
  spec: ServerSpec | undefined;
  private phase: Phase = 'waiting';
  /** Registrations that are not kept yet. */
  private unsettled = 0;
  private registrations = 0;
  private lastSequence = 0n;
  /** Messages to the backend that it has not taken yet. */
  private outgoing = 0;
  private readonly all: Reporters;
  private readonly sink: Sink;
  private readonly callOffPatience: () => void;

  constructor(all: Reporters, peer: Peer, sink: Sink, link: Link) {
    this.all = all;
    this.peer = peer;
    this.sink = sink;
    this.link = link;
    this.callOffPatience = all.options.clock.after(CONTROL.registrationMs, () => {
      if (this.phase !== 'waiting') return;
      const late = `no registration within ${CONTROL.registrationMs / 1000} s`;
      this.fail(new RpcError(Status.DEADLINE_EXCEEDED, late));
    });
  }

  get over(): boolean {
    return this.phase === 'over';
  }

  get isRegistering(): boolean {
    return this.phase === 'registering';
  }

  get isLeaving(): boolean {
    return this.phase === 'leaving';
  }

  message(request: ReportLoadRequest): void {
    if (this.phase === 'over' || this.isLate(request.sequence)) return;
    try {
      switch (request.kind?.$case) {
        case 'load':
          this.load(request.kind.value, request.window);
          break;
        case 'registration':
          this.register(request.kind.value);
          break;
        case 'deregistration':
          this.deregister(request.kind.value);
          break;
        default:
          throw new RpcError(
            Status.INVALID_ARGUMENT,
            'kind: expected a registration, load or deregistration',
            [{ field: 'kind', description: 'a registration, load or deregistration' }],
          );
      }
    } catch (error) {
      // The engine ends the call with what was thrown.
      this.breakOff(false);
      throw error;
    }
  }

  halfClosed(): void {
    // Who has taken its leave may close its side and wait for the end of its drain.
    if (this.phase === 'leaving') return;
    this.breakOff(false);
    this.sink.end();
  }

  cancelled(): void {
    this.breakOff(true);
  }

  tell(kind: Kind): void {
    if (this.phase === 'over') return;
    if (this.outgoing >= CONTROL.reporterBacklog) {
      this.fail(new RpcError(Status.RESOURCE_EXHAUSTED, 'the stream is not read'));
      return;
    }
    this.outgoing++;
    this.sink.write(ReportLoadResponse.encode({ kind }).finish(), () => {
      this.outgoing--;
    });
  }

  /** Another stream has taken the server over: this one ends, and the server stays as it is. */
  evict(why: string): void {
    this.finish();
    this.sink.end(new RpcError(Status.ABORTED, why));
  }

  /** An operator has removed the server, or scaling has let it go. */
  removed(by: string): void {
    this.finish();
    this.sink.end(new RpcError(Status.FAILED_PRECONDITION, `${this.id} was removed by ${by}`));
  }

  /** The server has left, after its own word. */
  left(): void {
    this.finish();
    this.sink.end();
  }

  /** Ends the stream by a decision of ours, without a word on the server. */
  fail(error: RpcError): void {
    this.breakOff(false);
    this.sink.end(error);
  }

  /** The stream is over and the backend has not left by it: a server that it stood for begins its grace. */
  private breakOff(reset: boolean): void {
    if (this.phase === 'over') return;
    const { phase, id, address } = this;
    const mine = this.all.holds(this);
    this.finish();
    if (!mine) return;
    publish('heapmesh:control:stream-ended', () => ({ serverId: id, deregistered: phase === 'leaving' }));
    const { lifecycle, mesh } = this.all.options;
    const view = mesh.registry.get(id);
    if (phase !== 'leaving' || reset) lifecycle.detached(id, address, reset);
    else if (view?.state !== 'DRAINING') lifecycle.leave(id);
  }

  private finish(): void {
    this.phase = 'over';
    this.callOffPatience();
    this.all.closed(this);
  }

  /** Sequence numbers grow within a stream; 0 is none. */
  private isLate(sequence: bigint): boolean {
    if (sequence === 0n) return false;
    if (sequence <= this.lastSequence) {
      this.all.options.counters.reportsLate++;
      return true;
    }
    this.lastSequence = sequence;
    return false;
  }

  private load(report: OrcaLoadReport, window: Duration | undefined): void {
    if (this.phase === 'waiting') {
      throw new RpcError(Status.FAILED_PRECONDITION, 'the first message of a stream must be a registration');
    }
    const { mesh, clock, counters } = this.all.options;
    let sample: LoadSample;
    try {
      sample = validLoad(report, window, 'load');
    } catch (error) {
      counters.reportsInvalid++;
      throw error;
    }
    // While an older stream is asked whether it lives, the id is not this backend's yet.
    const slot = this.all.holds(this) ? mesh.slotOf(this.id) : -1;
    if (slot < 0) return;
    counters.reports++;
    mesh.report(slot, sample, clock.now());
  }

  private register(registration: Registration): void {
    const { authorize, allow } = this.all.options;
    const mine = this.all.holds(this);
    // Another registration may come before the first is kept, but not before it is clear whose the id is.
    if (this.phase === 'leaving' || (this.phase === 'registering' && !mine)) {
      throw new RpcError(Status.FAILED_PRECONDITION, `a registration while the server is ${this.phase}`);
    }
    if (++this.registrations > CONTROL.registrationsPerStream) {
      throw new RpcError(Status.RESOURCE_EXHAUSTED, 'too many registrations on one stream; open a new one');
    }
    const spec = validClaim(registration, 'registration', this.peer.host, allow);
    demand(authorize, this.peer, 'report-load', spec.id);
    if (mine) {
      this.mustStay('id', this.id, spec.id);
      this.mustStay('address', this.address, spec.address);
    }
    this.phase = 'registering';
    this.unsettled++;
    this.all.claim(this, spec, () => {
      this.unsettled--;
      // It may have taken its leave before its claim was kept.
      if (this.phase !== 'registering') return;
      if (this.unsettled === 0) this.phase = 'registered';
      this.all.welcome(this);
    });
  }

  private mustStay(name: string, present: string, next: string): void {
    if (present === next) return;
    const field = `registration.${name}`;
    const description = `${present}, as in this stream's first registration`;
    throw new RpcError(Status.INVALID_ARGUMENT, `${field}: expected ${description}`, [
      { field, description },
    ]);
  }

  private deregister(deregistration: Deregistration): void {
    const claimed = this.phase === 'registering' && this.all.holds(this);
    if (this.phase !== 'registered' && !claimed) {
      throw new RpcError(Status.FAILED_PRECONDITION, `a deregistration while the server is ${this.phase}`);
    }
    const { drainTimeout } = deregistration;
    const timeoutMs = validDuration('deregistration.drain_timeout', drainTimeout, CONTROL.drainMs, 0);
    const { registry } = this.all.options.mesh;
    const { id } = this;
    this.phase = 'leaving';
    if (timeoutMs === 0) {
      this.all.options.lifecycle.leave(id);
      if (!this.over) this.left();
      return;
    }
    const drain = { kind: 'drain', id, by: 'backend', timeoutMs, afterwards: 'remove' } as const;
    registry.propose(drain, 'takes its leave');
  }
}
