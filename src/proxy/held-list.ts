/** Header lists that outlive the callback that brought them. */
import type { HeaderList } from '../http2/http2.ts';

/** The list itself where it never changes, else a copy. */
export function keepList(list: HeaderList): HeaderList {
  return list.serial > 0 ? list : list.copy();
}
