/** What happened to servers, entry by entry, for people and for readers that come back. */
import type { ServerState, ServerView } from './core.ts';
import type { Body, Entry } from './entries.ts';
import { sameSpec } from './record.ts';
import type { Verdict } from './verdict.ts';

export interface RegistryEvent {
  /** Of the entry; one entry can make several events. */
  readonly position: number;
  /** The instance that proposed it. */
  readonly instanceId: string;
  /** Wall clock, ms since 1970. */
  readonly time: number;
  /**
   * `registered`, `removed`, `state_changed`, `weight_changed` and `changed` (other properties, or the
   * cause of a state) tell what this instance sees; `policy_changed` is a pool that chooses by another policy; `refused` is a proposal that was not applied, or a
   * part of one, with the reason as cause.
   */
  readonly kind:
    | 'registered'
    | 'state_changed'
    | 'weight_changed'
    | 'changed'
    | 'removed'
    | 'policy_changed'
    | 'refused';
  /** Empty where the entry is about no server. */
  readonly serverId: string;
  /** After the entry; absent for a server that is not there. */
  readonly state?: ServerState;
  readonly cause: string;
  /** Services that it serves, or served before the entry. */
  readonly services: readonly string[];
}

/** The events that an entry makes of the change of one server. */
export function eventsOf(
  entry: Entry,
  id: string,
  before: ServerView | undefined,
  after: ServerView | undefined,
): RegistryEvent[] {
  const { origin, time, cause } = entry.proposal;
  const head = { position: entry.position, instanceId: origin, time, serverId: id };
  const services = servicesOf(before, after);
  if (after === undefined) {
    return before === undefined ? [] : [{ ...head, kind: 'removed', cause, services }];
  }
  const { state } = after;
  if (before === undefined) return [{ ...head, kind: 'registered', state, cause: after.cause, services }];
  const events: RegistryEvent[] = [];
  if (before.state !== state) {
    events.push({ ...head, kind: 'state_changed', state, cause: after.cause, services });
  } else if (before.cause !== after.cause) {
    events.push({ ...head, kind: 'changed', state, cause: after.cause, services });
  }
  if (before.spec.weight !== after.spec.weight) {
    events.push({ ...head, kind: 'weight_changed', state, cause, services });
  }
  if (!sameSpec({ ...before.spec, weight: after.spec.weight }, after.spec)) {
    events.push({ ...head, kind: 'changed', state, cause, services });
  }
  return events;
}

/** The event of an entry that changes no server. */
export function noticeOf({ position, proposal }: Entry): RegistryEvent | undefined {
  const { body, origin, time, cause } = proposal;
  if (body.kind !== 'policy') return undefined;
  const services = [body.service];
  return { position, instanceId: origin, time, kind: 'policy_changed', serverId: '', cause, services };
}

/** What a verdict makes an event of; observations are refused too often, and too rightly, to tell. */
export function refusalOf(
  entry: Entry,
  verdict: Verdict,
  view: ServerView | undefined,
): RegistryEvent | undefined {
  const { origin, time, body } = entry.proposal;
  if (verdict.why === '' || body.kind === 'observe') return undefined;
  return {
    position: entry.position,
    instanceId: origin,
    time,
    kind: 'refused',
    serverId: subjectOf(body),
    ...(view && { state: view.state }),
    cause: verdict.why,
    services: view?.spec.services ?? [],
  };
}

/** The server that a body is about; empty for those of many or none. */
export function subjectOf(body: Body): string {
  if (body.kind === 'claim') return body.spec.id;
  return 'id' in body ? body.id : '';
}

function servicesOf(before: ServerView | undefined, after: ServerView | undefined): readonly string[] {
  const now = after?.spec.services ?? [];
  const then = before?.spec.services ?? [];
  return now.length === 0 || then === now ? then : [...new Set([...now, ...then])];
}

/** The last events, in order. */
export class EventRing {
  readonly #capacity: number;
  readonly #events: RegistryEvent[] = [];
  /** Where the oldest one is, once the ring is full. */
  #start = 0;
  /** Position of the last one that was let go. */
  #lostUpTo = 0;

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`events held must be a whole number above 0, got ${capacity}`);
    }
    this.#capacity = capacity;
  }

  add(event: RegistryEvent): void {
    if (this.#events.length < this.#capacity) {
      this.#events.push(event);
      return;
    }
    this.#lostUpTo = this.#at(0).position;
    this.#events[this.#start] = event;
    this.#start = (this.#start + 1) % this.#capacity;
  }

  /** What lies up to this position was never held. */
  startAfter(position: number): void {
    this.#lostUpTo = position;
  }

  /** Events behind a position; undefined where some of them are no longer held. */
  after(position: number): readonly RegistryEvent[] | undefined {
    if (position < this.#lostUpTo) return undefined;
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#at(middle).position <= position) low = middle + 1;
      else high = middle;
    }
    const found: RegistryEvent[] = [];
    for (let i = low; i < this.#events.length; i++) found.push(this.#at(i));
    return found;
  }

  /** The last ones, at most so many. */
  last(count: number): readonly RegistryEvent[] {
    const from = Math.max(0, this.#events.length - count);
    return Array.from({ length: this.#events.length - from }, (_, i) => this.#at(from + i));
  }

  #at(i: number): RegistryEvent {
    const event = this.#events[(this.#start + i) % this.#capacity];
    if (event === undefined) throw new RangeError(`event ${i} of ${this.#events.length}`);
    return event;
  }
}
