/** CPU time of this process against the CPUs that it may use. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { cpuUsage } from 'node:process';
import type { Usage } from './samplers.ts';

export class ProcessCpu {
  readonly #cpus: () => number;
  readonly #now: () => number;
  #readAt: number;
  #availableMs = 0;

  /** `cpus` says how many CPUs the process may use at this time, fractions allowed. */
  constructor(cpus: () => number, now: () => number) {
    this.#cpus = cpus;
    this.#now = now;
    this.#readAt = now();
  }

  /** In milliseconds of CPU time. */
  read(): Usage {
    const now = this.#now();
    this.#availableMs += (now - this.#readAt) * this.#cpus();
    this.#readAt = now;
    const { user, system } = cpuUsage();
    return { used: (user + system) / 1_000, available: this.#availableMs };
  }
}

/**
 * CPUs that the process may be scheduled on: its affinity mask, which cpusets narrow. Quotas are not
 * in it: `availableParallelism` rounds them to whole CPUs, so it serves only where there is no mask.
 */
export function cpuAllowance(): number {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    const count = list === undefined ? 0 : countCpus(list);
    return count > 0 ? count : availableParallelism();
  } catch {
    return availableParallelism();
  }
}

/** CPUs in a list of the kernel's form, `0-3,8,10-11`. NaN where it has another form. */
export function countCpus(list: string): number {
  let count = 0;
  for (const part of list.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (match === null) return Number.NaN;
    const first = Number(match[1]);
    count += Number(match[2] ?? first) - first + 1;
  }
  return count;
}
