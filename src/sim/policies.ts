/** All that can be compared, by name. */
import type { PolicyUnderTest } from './balancer.ts';
import { OURS } from './heapmesh.ts';
import { BOUNDS } from './peers/bounds.ts';
import { COUNTING } from './peers/counting.ts';
import { NAIVE_HEAP } from './peers/naive.ts';
import { ORCA_WRR } from './peers/orca-wrr.ts';
import { PEAK_EWMA } from './peers/peak-ewma.ts';
import { PREQUAL } from './peers/prequal.ts';

/** Ours first, then the peers as published, then the bounds. */
export const POLICIES_UNDER_TEST: readonly PolicyUnderTest[] = [
  ...OURS,
  ...COUNTING,
  PEAK_EWMA,
  ORCA_WRR,
  PREQUAL,
  NAIVE_HEAP,
  ...BOUNDS,
];
