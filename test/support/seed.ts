/**
 * Where randomised tests get their seed: `HEAPMESH_TEST_SEED` of the environment, else a fresh one; it is
 * printed, so that a failure can be run again.
 */
const given = process.env.HEAPMESH_TEST_SEED;
export const SEED = given === undefined ? Date.now() & 0x7fffffff : Number.parseInt(given, 10);
console.log(`# seed ${SEED} (HEAPMESH_TEST_SEED=${SEED} runs it again)`);

/** Times as many cases as usual are run: `HEAPMESH_FUZZ_FACTOR` of the environment; `make fuzz` sets it. */
const FACTOR = Number(process.env.HEAPMESH_FUZZ_FACTOR ?? '1');

/** So many cases, or more in a long run. */
export function cases(usual: number): number {
  return Math.round(usual * FACTOR);
}

/** Parameters for `fc.assert` with that seed. */
export function seeded(numRuns = 200): { seed: number; numRuns: number } {
  return { seed: SEED, numRuns: cases(numRuns) };
}

/** mulberry32: a small generator for tests that draw by themselves. Numbers in [0, 1). */
export function generator(seed = SEED): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
