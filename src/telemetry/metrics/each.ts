/** Rows of a family, with a rest after each of a dozen or so. */
const AT_A_TIME = 16;

export function* each<T>(all: Iterable<T>, tell: (one: T) => void): Generator<void> {
  let told = 0;
  for (const one of all) {
    tell(one);
    if (++told % AT_A_TIME === 0) yield;
  }
}
