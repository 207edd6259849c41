/**
 * Which pools are in panic (`panic.ts`): those in which something has changed are judged at each look, and one that has
 * lost its last server at once.
 */
import { ANY_SERVICE, type ServerView } from './core.ts';
import type { Mesh } from './mesh.ts';
import { PanicLevel, panicLevel } from './panic.ts';
import type { Pool } from './pool.ts';

export interface PanicWatchOptions {
  readonly mesh: Mesh;
  /** Share of healthy servers of a pool below which health is ignored; 0 is never. */
  readonly panicBelow: (service: string) => number;
  /** Whether an ejected server cannot even be reached. */
  readonly isDead: (id: string) => boolean;
  /** The pool's level has changed. `begins`: it was calm before. */
  readonly onPanic: (pool: Pool, cause: string, begins: boolean) => void;
  /** Who of the ejected a pool picks from may have changed. */
  readonly onAdmitted: (pool: Pool) => void;
}

export class PanicWatch {
  private readonly options: PanicWatchOptions;
  /** To be judged. */
  private readonly dirty = new Set<Pool>();

  constructor(options: PanicWatchOptions) {
    this.options = options;
  }

  /** Services whose pools are in panic. */
  panicking(): string[] {
    return [...this.options.mesh.pools()]
      .filter(pool => pool.panicLevel !== PanicLevel.CALM)
      .map(pool => pool.service);
  }

  /** Rules may have changed. */
  lookAtAll(): void {
    for (const pool of this.options.mesh.pools()) this.dirty.add(pool);
  }

  /** A server's state, or what it is out for, has changed. */
  changed(view: ServerView): void {
    for (const pool of this.poolsOf(view)) this.dirty.add(pool);
  }

  /** A server takes no calls any more. It may have been the last: the next call must not wait for the next look. */
  left(view: ServerView, now: number): void {
    for (const pool of this.poolsOf(view)) if (pool.eligible === 0) this.judge(pool, now);
  }

  look(now: number): void {
    if (this.dirty.size === 0) return;
    for (const pool of this.dirty) this.judge(pool, now);
    this.dirty.clear();
  }

  private poolsOf({ spec }: ServerView): Iterable<Pool> {
    const { mesh } = this.options;
    if (spec.services.includes(ANY_SERVICE)) return mesh.pools();
    return spec.services.flatMap(service => mesh.pool(service) ?? []);
  }

  private judge(pool: Pool, now: number): void {
    if (pool.panicLevel === PanicLevel.CALM && pool.counts().ejected === 0) return;
    let judged = 0;
    let dead = 0;
    for (const slot of pool.members()) {
      const kind = this.kindOf(slot);
      if (kind === 'judged') judged++;
      else if (kind === 'dead') dead++;
    }
    const { mesh, panicBelow, onPanic, onAdmitted } = this.options;
    const level = panicLevel(pool.eligible, judged, dead, panicBelow(pool.service));
    const before = pool.panicLevel;
    if (level === PanicLevel.CALM && before === PanicLevel.CALM) return;
    pool.panic(
      level,
      level === PanicLevel.CALM ? undefined : slot => admitted(this.kindOf(slot), level),
      slot => mesh.registry.get(mesh.idOf(slot)),
      now,
    );
    onAdmitted(pool);
    if (level !== before) {
      onPanic(pool, causeOf(pool.eligible, judged, dead, level), before === PanicLevel.CALM);
    }
  }

  /** What an ejected server is to panic; undefined where it is not ejected, or nobody claims it. */
  private kindOf(slot: number): 'judged' | 'dead' | undefined {
    const { mesh, isDead } = this.options;
    const id = mesh.idOf(slot);
    const view = mesh.registry.get(id);
    if (view?.state !== 'EJECTED' || view.sources.length === 0) return undefined;
    return isDead(id) ? 'dead' : 'judged';
  }
}

function admitted(kind: 'judged' | 'dead' | undefined, level: PanicLevel): boolean {
  return kind === 'judged' || (kind === 'dead' && level === PanicLevel.ALL);
}

function causeOf(eligible: number, judged: number, dead: number, level: PanicLevel): string {
  if (level === PanicLevel.CALM) return 'enough of its servers are healthy again';
  if (level === PanicLevel.JUDGED)
    return `only ${eligible} of ${eligible + judged} servers are healthy: health is ignored`;
  return `none of its ${dead} servers can be reached: all are tried`;
}
