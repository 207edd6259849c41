/** What the kernel says of a process: CPU time and memory. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * CPU time of all threads in nanoseconds, from schedstat: the ticks of /proc/PID/stat are 10 ms long.
 * A thread that has ended is no longer counted.
 */
export function cpuNanoseconds(pid: number): number {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // It ended meanwhile.
    }
  }
  return sum;
}

/** Resident memory in bytes, now and at its highest. */
export function memoryBytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
  return { now: of('VmRSS'), peak: of('VmHWM') };
}
