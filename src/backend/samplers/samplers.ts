/**
 * What a process uses of what it may use.
 *
 * Resources that are used over time are read as two sums that only grow, in any unit that both share.
 * The utilization of a window is the growth of `used` over the growth of `available`. So each balancer
 * has exact windows of its own, whatever its interval, and a quota that changes is weighed by its time.
 */
import { CgroupCpu, type CgroupFiles, findCgroup, memoryLimit } from './cgroup.ts';
import { cpuAllowance, ProcessCpu } from './cpu.ts';
import { eventLoopUsage } from './event-loop.ts';
import { MemoryUse } from './memory.ts';
import { remember } from './remember.ts';

export interface Usage {
  readonly used: number;
  readonly available: number;
}

/** One look at all resources. */
export interface Usages {
  /** CPU time of this process, of the CPU time that it may have. */
  readonly cpu: Usage;
  /** CPU time of the whole cgroup, of its quota; absent where no quota is set. */
  readonly cgroupCpu: Usage | undefined;
  /** Time in which the event loop was busy, of all its time. */
  readonly eventLoop: Usage;
  /** Resident memory as a fraction of the cgroup's limit, else of the machine's memory. */
  readonly memory: number;
}

/** The fraction used between two looks; NaN where nothing was available between them. */
export function fractionUsed(before: Usage | undefined, after: Usage | undefined): number {
  if (before === undefined || after === undefined) return Number.NaN;
  const available = after.available - before.available;
  return available > 0 ? Math.max(0, after.used - before.used) / available : Number.NaN;
}

export class Samplers {
  readonly #cpu: ProcessCpu;
  readonly #cgroupCpu: CgroupCpu;
  readonly #memory: MemoryUse;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number, files: CgroupFiles = findCgroup()) {
    this.#cgroupCpu = new CgroupCpu(files, now);
    const allowance = remember(cpuAllowance, now);
    this.#cpu = new ProcessCpu(() => Math.min(allowance(), this.#cgroupCpu.quota()), now);
    this.#memory = new MemoryUse(() => memoryLimit(files), now);
  }

  read(): Usages {
    return {
      cpu: this.#cpu.read(),
      cgroupCpu: this.#cgroupCpu.read(),
      eventLoop: eventLoopUsage(),
      memory: this.#memory.read(),
    };
  }
}
