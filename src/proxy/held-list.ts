/** Header lists that outlive the callback that brought them. */
import { PROXY_LIMITS } from '../core/limits.ts';
import { HeaderList } from '../http2/http2.ts';

/** The list itself where it never changes, else a copy. */
export function keepList(list: HeaderList): HeaderList {
  return list.serial > 0 ? list : list.copy();
}

/**
 * Lists for the heads of requests, which are kept until it is certain that they need not be sent again: a copy a
 * call, for callers of which no two calls are the same, is worth no new objects each time.
 */
export class HeldLists {
  private readonly free: HeaderList[] = [];

  /** The list itself where it never changes, else a copy, good until it is given back. */
  keep(list: HeaderList): HeaderList {
    if (list.serial > 0) return list;
    if (list.count > PROXY_LIMITS.heldFields) return list.copy();
    const held = this.free.pop() ?? new HeaderList(PROXY_LIMITS.heldFields);
    held.take(list);
    return held;
  }

  /** Takes a list of `keep` back; nobody may look at it after that. */
  give(list: HeaderList): void {
    if (list.serial > 0 || list.capacity !== PROXY_LIMITS.heldFields) return;
    if (list.bytes > PROXY_LIMITS.heldListBytes || this.free.length >= PROXY_LIMITS.heldLists) return;
    this.free.push(list);
  }
}
