/** Header lists that outlive the callback that brought them. */
import { PROXY_LIMITS } from '../core/limits.ts';
import { HeaderList, KeptList } from '../http2/http2.ts';

/**
 * The heads of requests, which are kept until it is certain that they need not be sent again: for callers of which
 * no two calls are the same, keeping one makes no new objects.
 */
export class HeldLists {
  private readonly free: KeptList[] = [];
  private readonly list: HeaderList;

  constructor() {
    this.list = new HeaderList(PROXY_LIMITS.heldFields);
  }

  /** Keeps a list until it is given back. */
  keep(list: HeaderList): KeptList {
    const fits = list.count <= PROXY_LIMITS.heldFields;
    const kept =
      (fits ? this.free.pop() : undefined) ?? new KeptList(Math.max(list.count, PROXY_LIMITS.heldFields));
    kept.take(list);
    return kept;
  }

  /** The list that was kept, until the next one is asked for or this one is given back. */
  of(kept: KeptList): HeaderList {
    kept.restore(this.list);
    return this.list;
  }

  /** Takes back what `keep` gave. */
  give(kept: KeptList): void {
    if (kept.capacity !== PROXY_LIMITS.heldFields || kept.ownBytes > PROXY_LIMITS.heldListBytes) return;
    if (this.free.length < PROXY_LIMITS.heldLists) this.free.push(kept);
  }
}
