/**
 * The young generation of the JavaScript heap of a balancer: some MiB, and no more. V8 lets it grow to 64 MiB, and then
 * what lives in it is copied in one go: with 10,000 servers that report, calls wait 20 ms for that, and 2 ms with
 * 4 MiB. V8 takes the factor by which it grows at each growth, and has no other flag for it that it takes after its
 * start; so this is loaded before all else.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { isChosen } from './chosen-flags.ts';

const SIZE = 4 * 1024 * 1024;
/** Living octets, about, that let it grow, and the most of them that are made for it at a time: four times as many as it takes. */
const STEP = 64 * 1024;
const MOST = 16 * 1024 * 1024;
/** It does not grow while the old generation is marked, which takes some 50 ms at the start. */
const AGAIN_MS = 200;
const TIMES = 10;

/** Whoever starts the process may have chosen a size. */
const isOurs = !isChosen(/semi[-_]space/);
if (isOurs && process.argv[2] === 'serve') growBy(1);

/** Grows it to its size, and no further; soon, where that is not possible now. */
export function settleYoungGeneration(times = TIMES): void {
  if (!isOurs) return;
  growBy(2);
  const living: number[][] = [];
  for (let made = 0; sizeOf() < SIZE && made < MOST; made += STEP) living.push(new Array(STEP / 8).fill(0.5));
  growBy(1);
  if (sizeOf() < SIZE && times > 1) setTimeout(settleYoungGeneration, AGAIN_MS, times - 1).unref();
}

function growBy(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}

/** What may be allocated in it between two collections, octets. */
function sizeOf(): number {
  const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  return (young?.space_size ?? SIZE) / 2;
}
