/** More servers from those that wait: activates a healthy standby of the pool. */
import { ANY_SERVICE, type ServerView } from '../core/core.ts';
import type { Registry } from '../core/registry.ts';
import type { Provided, Provider, Want } from './provider.ts';

export class StandbyProvider implements Provider {
  readonly name = 'standby';
  readonly patienceMs: number = 0;
  private readonly registry: Registry;

  constructor(registry: Registry) {
    this.registry = registry;
  }

  async add(want: Want): Promise<Provided> {
    const standbys = this.standbys(want);
    let why = `no healthy standby serves ${want.service}`;
    for (const { spec } of standbys) {
      const { id } = spec;
      const body = { kind: 'activate', id, failure: want.failure } as const;
      try {
        const settled = await this.registry.propose(body, want.cause, [
          { kind: 'unanswered', failure: want.failure },
          { kind: 'standby', id },
        ]);
        if (settled.applied) return { kind: 'added', id, how: `activated the standby ${id}` };
        // Another instance was first, or the standby is none any more: then the next one may do.
        const by = this.registry.answer(want.failure);
        if (by !== undefined) return { kind: 'answered', by };
        ({ why } = settled);
      } catch (error) {
        return { kind: 'none', why: `the log did not take it: ${(error as Error).message}` };
      }
    }
    return { kind: 'none', why };
  }

  drained(): void {}

  async close(): Promise<void> {}

  /** Those of the zone first; else by name, so that all instances begin with the same. */
  private standbys({ service, zone }: Want): ServerView[] {
    const views = [...this.registry.list()].filter(
      ({ state, healthy, spec: { services } }) =>
        state === 'STANDBY' && healthy && (services.includes(service) || services.includes(ANY_SERVICE)),
    );
    const away = (view: ServerView): number => (view.spec.zone === zone ? 0 : 1);
    return views.sort((a, b) => away(a) - away(b) || (a.spec.id < b.spec.id ? -1 : 1));
  }
}
