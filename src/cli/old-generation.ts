/**
 * The old generation of the JavaScript heap of a balancer: collected when it is three times what lived in it at the
 * last time. V8 chooses the factor by how much of its time collections take, and is content with 3 %: with 10,000
 * servers that report it chose a tenth, 12 MiB, and marked 133 MiB each 7 s for that, 0.4 s each time, in which calls
 * have but a part of the core. V8 reads the flag whenever a collection ends, and never lets the heap grow beyond the
 * limit that the machine, the container or `--max-old-space-size` gives it; after a quiet time it collects by itself.
 */
import { setFlagsFromString } from 'node:v8';
import { isChosen } from './chosen-flags.ts';

/** By how much it grows beyond what lives, %. */
const GROWTH = 200;

/** Whoever starts the process may have chosen it. */
const isOurs = !isChosen(/heap[-_]growing/);
if (isOurs && process.argv[2] === 'serve') setFlagsFromString(`--heap-growing-percent=${GROWTH}`);
