/**
 * The instances that share a log, as facts: who serves, in which life, and where. Whether one is alive
 * right now is what each sees for itself; here it is gone once it said so, or once another retired it.
 */
import type { Proposal } from './entries.ts';
import { REGISTRY_LIMITS } from './limits.ts';
import type { Stamp } from './record.ts';
import type { Store } from './store.ts';

export interface InstanceFact {
  readonly id: string;
  /** Of the life that joined last. */
  readonly epoch: number;
  /** `host:port` of its control API. */
  readonly control: string;
  /** `host:port` of its proxy. */
  readonly proxy: string;
  /** False once it has taken its leave. */
  readonly present: boolean;
  /** Of the change into being present, or not. */
  readonly since: Stamp;
}

/** Why nothing was done; empty where it was. */
export function join(store: Store, proposal: Proposal, control: string, proxy: string): string {
  const { origin, epoch, time, cause } = proposal;
  const before = store.instance(origin);
  if (before !== undefined && before.epoch > epoch) return `${origin} has begun a later life`;
  if (before === undefined && store.instanceCount() >= REGISTRY_LIMITS.instances) {
    return `${REGISTRY_LIMITS.instances} instances are known already`;
  }
  const same =
    before?.present === true &&
    before.epoch === epoch &&
    before.control === control &&
    before.proxy === proxy;
  if (same) return '';
  store.setInstance(origin, { id: origin, epoch, control, proxy, present: true, since: { time, cause } });
  return '';
}

export function leave(store: Store, proposal: Proposal): string {
  const { origin, epoch, time, cause } = proposal;
  const before = store.instance(origin);
  if (before === undefined || before.epoch !== epoch || !before.present) return `${origin} is not there`;
  store.setInstance(origin, { ...before, present: false, since: { time, cause } });
  return '';
}

/** Whether a retirement is still about the life that it names. */
export function notRetirable(store: Store, instance: string, epoch: number): string {
  const before = store.instance(instance);
  if (before === undefined) return `there is no instance ${instance}`;
  return before.epoch === epoch ? '' : `${instance} has begun a new life`;
}
