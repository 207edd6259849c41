/**
 * What the log says of additions: a failure or an overload has a name, the first answer to it counts, and an answer
 * is the id of a server that is there or yet to come. One that does not come, since its instance ended or could not
 * bring it, is no answer for ever: after `patienceMs` the same is asked again under the name's next number.
 *
 * A server may come under another id than it was asked to take; then the question who was to be that id is
 * answered by the one it has.
 */
import type { Registry } from '../core/registry.ts';

export type Answer =
  /** Nobody has answered it: by this name it can be. */
  | { readonly kind: 'none'; readonly name: string }
  /** The server is in service. */
  | { readonly kind: 'served'; readonly name: string; readonly by: string }
  /** The server may still come. */
  | { readonly kind: 'awaited'; readonly name: string; readonly by: string };

export class Answers {
  private readonly registry: Registry;
  private readonly patienceMs: number;
  /** Answers by servers that are not there: when each was first seen, ms; −∞: it is known that none comes. */
  private readonly awaited = new Map<string, number>();
  /** Servers that have come, and may be gone since. */
  private readonly came = new Set<string>();

  constructor(registry: Registry, patienceMs: number) {
    this.registry = registry;
    this.patienceMs = patienceMs;
  }

  /** Servers that answered something and are in service, the last one at the end. To be called at each look. */
  added(): string[] {
    const { registry, awaited, came } = this;
    for (const name of awaited.keys()) if (registry.answer(name) === undefined) awaited.delete(name);
    const answering = new Set<string>();
    const added = new Set<string>();
    for (const [, id] of registry.answers()) {
      answering.add(id);
      if (registry.get(id) !== undefined) came.add(id);
      if (!this.isInService(id)) continue;
      added.delete(id);
      added.add(id);
    }
    for (const id of came) if (!answering.has(id)) came.delete(id);
    return [...added];
  }

  /** What answers a failure or an overload now. */
  find(about: string, now: number): Answer {
    const { registry } = this;
    for (let n = 1; ; n++) {
      const name = n === 1 ? about : `${about} (${n})`;
      const asked = registry.answer(name);
      if (asked === undefined) return { kind: 'none', name };
      const by = registry.answer(whoWasToBe(asked)) ?? asked;
      if (this.isInService(by)) return { kind: 'served', name, by };
      if (registry.get(by) !== undefined || this.came.has(by)) continue;
      const since = this.awaited.get(name) ?? now;
      this.awaited.set(name, since);
      if (now - since < this.patienceMs) return { kind: 'awaited', name, by };
    }
  }

  /** This instance has answered by a server that does not come. */
  inVain(name: string): void {
    this.awaited.set(name, Number.NEGATIVE_INFINITY);
  }

  private isInService(id: string): boolean {
    const state = this.registry.get(id)?.state;
    return state === 'WARMING' || state === 'ACTIVE' || state === 'EJECTED';
  }
}

/** The question that the id of a server that came under another one than it was asked to take answers. */
export function whoWasToBe(id: string): string {
  return `who was to be ${id}`;
}
