/**
 * CPU quota, CPU time and memory limit of the control group that this process runs in, version 2
 * (https://docs.kernel.org/admin-guide/cgroup-v2.html) or 1, or both at once.
 *
 * A limit can be set on the group itself or on any group above it; the tightest one counts. What
 * cannot be read is no limit: a machine without control groups is an ordinary machine.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path/posix';
import { remember } from './remember.ts';
import type { Usage } from './samplers.ts';

/** Directories of the groups that hold this process, the innermost first. */
export interface CgroupFiles {
  readonly cpu: CgroupDirectories | undefined;
  /** Where the CPU time of the same groups is accounted; in version 2 the same as `cpu`. */
  readonly cpuAccounting: CgroupDirectories | undefined;
  readonly memory: CgroupDirectories | undefined;
}

interface CgroupDirectories {
  readonly version: 1 | 2;
  readonly directories: readonly string[];
}

interface Quota {
  readonly cpus: number;
  /** Index of its group in the directories. */
  readonly level: number;
}

/** `root` is where the file system of the machine begins. */
export function findCgroup(root = '/'): CgroupFiles {
  const mounts = readText(join(root, 'proc/self/mountinfo')) ?? '';
  const groups = readText(join(root, 'proc/self/cgroup')) ?? '';
  const find = (controller: string): CgroupDirectories | undefined =>
    controllerDirectories(root, mounts, groups, controller, 1) ??
    controllerDirectories(root, mounts, groups, controller, 2);
  const cpu = find('cpu');
  const accounting = find('cpuacct');
  // Levels of the two must correspond, so that the time counted is that of the group with the quota.
  const alike =
    accounting?.version === cpu?.version && accounting?.directories.length === cpu?.directories.length;
  return { cpu, cpuAccounting: alike ? accounting : undefined, memory: find('memory') };
}

/**
 * mountinfo (proc_pid_mountinfo(5)): `ID PARENT MAJ:MIN ROOT MOUNT_POINT OPTIONS [TAGS ...] - TYPE SOURCE SUPER_OPTIONS`.
 * cgroup (cgroups(7)): `ID:CONTROLLERS:PATH`, version 2 as `0::PATH`.
 */
function controllerDirectories(
  root: string,
  mounts: string,
  groups: string,
  controller: string,
  version: 1 | 2,
): CgroupDirectories | undefined {
  for (const line of mounts.split('\n')) {
    const [own = '', file = ''] = line.split(' - ');
    const [, , , mountRoot, mountPoint] = own.split(' ');
    const [type, , options = ''] = file.split(' ');
    if (mountRoot === undefined || mountPoint === undefined) continue;
    if (type !== (version === 2 ? 'cgroup2' : 'cgroup')) continue;
    if (version === 1 && !options.split(',').includes(controller)) continue;
    const path = groupPath(groups, controller, version);
    if (path === undefined) continue;
    return { version, directories: upwards(join(root, mountPoint), withinMount(mountRoot, path)) };
  }
  return undefined;
}

function groupPath(groups: string, controller: string, version: 1 | 2): string | undefined {
  for (const line of groups.split('\n')) {
    const [id, controllers, ...path] = line.split(':');
    if (controllers === undefined) continue;
    const matches =
      version === 2 ? id === '0' && controllers === '' : controllers.split(',').includes(controller);
    if (matches) return path.join(':');
  }
  return undefined;
}

/** A container without a cgroup namespace sees its path from the host's root, but its mount from its own. */
function withinMount(mountRoot: string, path: string): string {
  const below = relative(mountRoot, path);
  return below.startsWith('..') ? '' : below;
}

function upwards(mountPoint: string, below: string): string[] {
  const directories: string[] = [];
  for (let at = below; at !== '' && at !== '.'; at = dirname(at)) directories.push(join(mountPoint, at));
  directories.push(mountPoint);
  return directories;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function readNumber(path: string): number {
  const text = readText(path)?.trim();
  return text === undefined || text === '' ? Number.NaN : Number(text);
}

/** The quota of one group in CPUs; Infinity for none. */
function quotaAt(version: 1 | 2, directory: string): number {
  if (version === 2) {
    // cpu.max: "$MAX $PERIOD", the maximum being `max` for none.
    const [max = 'max', period = '100000'] = (readText(join(directory, 'cpu.max')) ?? '').trim().split(' ');
    const cpus = Number(max) / Number(period);
    return cpus > 0 ? cpus : Number.POSITIVE_INFINITY;
  }
  const cpus =
    readNumber(join(directory, 'cpu.cfs_quota_us')) / readNumber(join(directory, 'cpu.cfs_period_us'));
  return cpus > 0 ? cpus : Number.POSITIVE_INFINITY;
}

function tightestQuota(files: CgroupDirectories | undefined): Quota {
  let tightest: Quota = { cpus: Number.POSITIVE_INFINITY, level: -1 };
  files?.directories.forEach((directory, level) => {
    const cpus = quotaAt(files.version, directory);
    if (cpus < tightest.cpus) tightest = { cpus, level };
  });
  return tightest;
}

/** CPU time of one group in milliseconds; NaN where it is not accounted. */
function cpuTimeAt(version: 1 | 2, directory: string): number {
  if (version === 1) return readNumber(join(directory, 'cpuacct.usage')) / 1_000_000;
  const stat = readText(join(directory, 'cpu.stat')) ?? '';
  const usec = /^usage_usec (\d+)$/m.exec(stat)?.[1];
  return usec === undefined ? Number.NaN : Number(usec) / 1_000;
}

/** The tightest memory limit in bytes; Infinity for none. */
export function memoryLimit(files: CgroupFiles): number {
  const { memory } = files;
  let tightest = Number.POSITIVE_INFINITY;
  for (const directory of memory?.directories ?? []) {
    // Version 2 says `max` for none, version 1 the largest multiple of a page; both lose against the machine's memory.
    const limit = readNumber(join(directory, memory?.version === 2 ? 'memory.max' : 'memory.limit_in_bytes'));
    if (limit > 0 && limit < tightest) tightest = limit;
  }
  return tightest;
}

/** CPU time of all processes that share this process's quota: what another one uses, this one lacks. */
export class CgroupCpu {
  readonly #files: CgroupFiles;
  readonly #now: () => number;
  readonly #tightest: () => Quota;
  #readAt: number;
  #availableMs = 0;
  #usedMs = 0;
  /** The last reading, and of which group. */
  #last = { level: -1, cpuTimeMs: Number.NaN };

  /** `now` is a monotonic clock in milliseconds. */
  constructor(files: CgroupFiles, now: () => number) {
    this.#files = files;
    this.#now = now;
    this.#tightest = remember(() => tightestQuota(files.cpu), now);
    this.#readAt = now();
  }

  /** In CPUs, fractions allowed; Infinity for none. */
  quota(): number {
    return this.#tightest().cpus;
  }

  /** In milliseconds of CPU time; undefined where there is no quota or no accounting. */
  read(): Usage | undefined {
    const now = this.#now();
    const elapsedMs = now - this.#readAt;
    this.#readAt = now;
    const { cpus, level } = this.#tightest();
    const accounting = this.#files.cpuAccounting;
    const directory = accounting?.directories[level];
    if (accounting === undefined || directory === undefined) return undefined;
    const cpuTimeMs = cpuTimeAt(accounting.version, directory);
    if (Number.isNaN(cpuTimeMs)) return undefined;
    // Another group's time has another start: only growth within one group is use.
    if (level === this.#last.level) this.#usedMs += Math.max(0, cpuTimeMs - this.#last.cpuTimeMs);
    this.#last = { level, cpuTimeMs };
    this.#availableMs += elapsedMs * cpus;
    return { used: this.#usedMs, available: this.#availableMs };
  }
}
