/** Limits change seldom, and reading one costs a system call or more. */
import { REPORTER_LIMITS } from '../../core/limits.ts';

/** `read`, called again only when its last answer is older than `quotaRereadMs`. */
export function remember<T>(read: () => T, now: () => number): () => T {
  let last: { readonly value: T; readonly at: number } | undefined;
  return () => {
    const at = now();
    if (last === undefined || at - last.at >= REPORTER_LIMITS.quotaRereadMs) last = { value: read(), at };
    return last.value;
  };
}
