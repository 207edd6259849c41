/**
 * Repeatable randomness for tests. The seed comes from HEAPMESH_TEST_SEED, or is drawn anew; every
 * message of a randomised test names it, so that a failure can be had again.
 */
export const testSeed: number = seedFrom(process.env.HEAPMESH_TEST_SEED);

function seedFrom(text: string | undefined): number {
  if (text === undefined || text === '') return (Math.random() * 2 ** 32) >>> 0;
  const seed = Number(text);
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new RangeError(`HEAPMESH_TEST_SEED must be an integer from 0 to 4294967295, got '${text}'`);
  }
  return seed;
}

/** A generator of numbers in [0, 1) (splitmix32, as in Steele, Lea, Flood, OOPSLA 2014). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
