/** The wave of `demo --overload`: more calls than the servers should have, until the standby has joined and gone again. */
import type { Mesh } from '../../core/mesh.ts';

export interface OverloadOptions {
  readonly mesh: Mesh;
  /** The rate of the calm, calls/s. */
  readonly rate: number;
  readonly setRate: (rate: number) => void;
  readonly note: (text: string) => void;
}

/** A rule that is quick enough to be watched. */
export const OVERLOAD_RULE = `scaling: { threshold: 0.8, for: 3s, cooldown: 5s, scaleIn: { below: 0.5, for: 6s } }`;

/** Times the calm rate: some 87 and 31 % of what three servers can do at the default rate. */
const FLOOD = 1.4;
const EBB = 0.5;
const CALM_MS = 4_000;
/** Time to see what the newcomer is worth, ms. */
const RELIEVED_MS = 8_000;

/** Begins; returns what ends it. */
export function runOverload({ mesh, rate, setRate, note }: OverloadOptions): () => void {
  let timer: NodeJS.Timeout | undefined;
  const after = (ms: number, factor: number, text: string): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const next = Math.round(rate * factor);
      note(`callers: ${next} calls/s, ${text}`);
      setRate(next);
    }, ms);
  };
  const flood = (): void => after(CALM_MS, FLOOD, 'more than the servers should have');
  const unfollow = mesh.registry.onChange((_id, before, after_) => {
    if (before?.state === 'STANDBY' && after_?.state === 'WARMING')
      after(RELIEVED_MS, EBB, 'the rush is over');
    else if (before?.state === 'DRAINING' && after_?.state === 'STANDBY') flood();
  });
  flood();
  return () => {
    clearTimeout(timer);
    unfollow();
  };
}
