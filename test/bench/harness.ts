/**
 * What all benchmarks share: interleaved rounds, a reference loop, allocation per operation, a table
 * and JSON. The sampling inside a round is mitata's.
 *
 * Absolute figures mean one machine on one day. So each round also times a fixed loop of integer
 * arithmetic, and each result has its time as a multiple of one step of that loop (`ratioToReference`),
 * which a slower machine changes much less. Cases take turns within a round, so that a slow moment hits
 * them alike. A round counts by the lower quartile of its samples, which a neighbour that takes the
 * processor away for a while does not reach; what is shown is the median over the rounds.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { measure } from 'mitata';
import { type Allocation, measureAllocation } from './allocation.ts';
import { table } from './table.ts';

export interface BenchCase {
  /** Unique in its group; a row of the table. */
  readonly name: string;
  /** What one operation is: `pair`, `report`, `call`. */
  readonly unit: string;
  /** Operations of one `run()`; enough that a run takes 1 ms or so. */
  readonly operations: number;
  readonly run: () => unknown;
  /** Operations a second that are to be reached; told in the table, never a failure. */
  readonly target?: number;
}

/** One figure. `value` is operations a second where a case was timed, else what `record` was given. */
export interface BenchResult {
  readonly group: string;
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** Fastest and slowest round, in the same unit. */
  readonly best?: number;
  readonly worst?: number;
  readonly nanoseconds?: number;
  /** Time of one operation over the time of one step of the reference loop; the median of the rounds. */
  readonly ratioToReference?: number;
  readonly bytesPerOperation?: number;
  readonly collectionsPerMillion?: number;
  readonly target?: number;
  readonly reached?: boolean;
  readonly note?: string;
}

const REFERENCE_STEPS = 100_000;
let referenceSink = 1;

/** The reference loop, in 32-bit integers: each step waits for the one before, so that only the core's clock counts. */
function reference(): number {
  let state = referenceSink | 1;
  for (let step = 0; step < REFERENCE_STEPS; step++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) ^ step;
  }
  referenceSink = state;
  return state;
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
};

export class BenchSuite {
  readonly name: string;
  readonly results: BenchResult[] = [];
  readonly #rounds: number;
  readonly #millisecondsARound: number;
  readonly #json: string | undefined;
  readonly #only: string | undefined;
  readonly #referenceNs: number[] = [];

  /** Reads `--json FILE`, `--rounds N`, `--ms N` (a case and round) and `--only TEXT` of the command line. */
  constructor(name: string, argv: readonly string[] = process.argv.slice(2)) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        json: { type: 'string' },
        only: { type: 'string' },
        rounds: { type: 'string', default: '7' },
        ms: { type: 'string', default: '60' },
      },
    });
    this.name = name;
    this.#json = values.json;
    this.#only = values.only;
    this.#rounds = atLeastOne('rounds', values.rounds);
    this.#millisecondsARound = atLeastOne('ms', values.ms);
  }

  /** True where `--only` leaves this group in. Ask before a costly set-up. */
  wants(group: string): boolean {
    return this.#only === undefined || group.includes(this.#only);
  }

  /** Times cases against each other and prints their table. */
  async compare(group: string, cases: readonly BenchCase[], note?: string): Promise<void> {
    if (!this.wants(group)) return;
    const samples = cases.map(() => ({ ns: [] as number[], ratio: [] as number[] }));
    // Two rounds that do not count: the optimizer has the last word only after a while.
    for (let round = -2; round < this.#rounds; round++) {
      const step = (await this.#sample(reference)) / REFERENCE_STEPS;
      if (round >= 0) this.#referenceNs.push(step);
      for (const [index, one] of cases.entries()) {
        const ns = (await this.#sample(one.run)) / one.operations;
        if (round < 0) continue;
        samples[index]?.ns.push(ns);
        samples[index]?.ratio.push(ns / step);
      }
    }
    const results = cases.map((one, index) => {
      const { ns, ratio } = samples[index] as { ns: number[]; ratio: number[] };
      return resultOf(group, one, ns, median(ratio), measureAllocation(one.run, one.operations));
    });
    this.results.push(...results);
    print(`\n${this.name}: ${group}\n${table(results)}`);
    if (note !== undefined) print(note);
  }

  /** Takes in a figure that was measured elsewhere (CPU of a process, a delay) and prints it. */
  record(result: BenchResult): void {
    this.results.push(result);
    print(`\n${this.name}: ${result.group}\n${table([result])}`);
  }

  /** Says what the reference was, and writes the JSON where one was asked for. */
  finish(): void {
    const ns = this.#referenceNs.length > 0 ? median(this.#referenceNs) : Number.NaN;
    if (!Number.isNaN(ns)) print(`\nreference loop: ${ns.toFixed(3)} ns a step; "ratio" is in such steps`);
    if (this.#json === undefined) return;
    const document = {
      suite: this.name,
      time: new Date().toISOString(),
      node: process.version,
      processor: cpus()[0]?.model ?? 'unknown',
      referenceNanoseconds: Number.isNaN(ns) ? null : ns,
      results: this.results,
    };
    writeFileSync(this.#json, `${JSON.stringify(document, null, 2)}\n`);
  }

  async #sample(run: () => unknown): Promise<number> {
    const stats = await measure(run, {
      gc: false,
      min_samples: 5,
      min_cpu_time: this.#millisecondsARound * 1e6,
      // A run is a loop of many operations already.
      batch_threshold: 0,
    });
    return stats.p25;
  }
}

function resultOf(
  group: string,
  one: BenchCase,
  ns: readonly number[],
  ratioToReference: number,
  allocation: Allocation,
): BenchResult {
  const nanoseconds = median(ns);
  const value = 1e9 / nanoseconds;
  return {
    group,
    name: one.name,
    unit: `${one.unit}/s`,
    value,
    best: 1e9 / Math.min(...ns),
    worst: 1e9 / Math.max(...ns),
    nanoseconds,
    ratioToReference,
    ...allocation,
    ...(one.target === undefined ? {} : { target: one.target, reached: value >= one.target }),
  };
}

function atLeastOne(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new RangeError(`--${name} takes an integer from 1, got ${text}`);
  return value;
}

function print(text: string): void {
  console.log(text);
}
