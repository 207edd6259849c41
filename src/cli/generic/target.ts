/** Where `call` goes: a backend that the balancer picks, with its lease, or an address that is given. */
import type { GetHeapResponse } from '../../gen/heapmesh/v1/admin.ts';
import { durationOf, millisOf } from '../../grpc/duration.ts';
import { Status } from '../../grpc/status.ts';
import { CliError } from '../cli.ts';
import type { Control, ControlOptions } from '../control.ts';
import { withControl } from '../with-control.ts';
import { explainPick, type PickQuestion } from './why.ts';

export interface Target {
  /** Empty where an address was given. */
  readonly id: string;
  readonly address: string;
  /** Why this one, in words. */
  readonly why: string;
}

export interface TargetOptions extends ControlOptions, PickQuestion {
  readonly address?: string;
  readonly service: string;
  readonly method: string;
  readonly zone?: string;
}

/** How a call ended, for the lease. `undefined`: it never was made. */
export type CallEnd = { readonly code: number; readonly latencyMs: number } | undefined;

/**
 * Runs `work` on the target. A lease is renewed as long as that takes, and completed with what became
 * of the call; where `work` throws, as cancelled, which says nothing of the backend.
 */
export async function withTarget(
  options: TargetOptions,
  work: (target: Target) => Promise<CallEnd>,
): Promise<void> {
  if (options.address !== undefined) {
    await work({ id: '', address: options.address, why: 'it was given with --address' });
    return;
  }
  await withControl(options, async control => {
    const heap = await readHeap(control, options);
    const request = {
      service: options.service,
      method: options.method,
      hashKey: options.hashKey ?? '',
      zone: options.zone ?? '',
      excludeIds: [...(options.excluded ?? [])],
    };
    const { server, leaseId, leaseTtl } = await control.call(call =>
      control.lookaside.pickServer(request, call),
    );
    if (server === undefined)
      throw new CliError(`the balancer at ${control.address} answered a pick without a server`);
    const renewal = setInterval(
      () => void report(control, leaseId, undefined).catch(() => {}),
      // Two renewals a lease: one of them may be lost.
      Math.max(100, millisOf(leaseTtl, 10_000) / 2),
    );
    let end: CallEnd;
    try {
      end = await work({
        id: server.id,
        address: server.address,
        why: explainPick(server.id, heap, options),
      });
    } finally {
      clearInterval(renewal);
      const outcome = end ?? { code: Status.CANCELLED, latencyMs: 0 };
      // The lease would end by itself; a balancer that went away meanwhile is no failure of the call.
      await report(control, leaseId, outcome).catch(() => {});
    }
  });
}

/** An explanation is worth a look at the heap, but a call does not fail for want of one. */
async function readHeap(control: Control, options: TargetOptions): Promise<GetHeapResponse | undefined> {
  const request = { service: options.service, zone: options.zone ?? '' };
  return control.call(call => control.admin.getHeap(request, call)).catch(() => undefined);
}

async function report(control: Control, leaseId: string, outcome: CallEnd): Promise<void> {
  async function* one() {
    yield {
      leaseId,
      grpcStatus: outcome?.code ?? Status.OK,
      latency: durationOf(outcome?.latencyMs ?? 0),
      inProgress: outcome === undefined,
    };
  }
  await control.call(call => control.lookaside.reportOutcomes(one(), call));
}
