/** Quotas, CPU time and memory limits, out of trees of files as kernels write them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, test } from 'node:test';
import { CgroupCpu, findCgroup, memoryLimit } from '../../../src/backend/samplers/cgroup.ts';
import { fractionUsed } from '../../../src/backend/samplers/samplers.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

function machine(files: Record<string, string>): { root: string; write(path: string, text: string): void } {
  const root = mkdtempSync(join(tmpdir(), 'heapmesh-cgroup-'));
  roots.push(root);
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  return { root, write };
}

const V2_MOUNT =
  '29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n';

test('version 2: the tightest quota and limit on the way up count', () => {
  const { root, write } = machine({
    'proc/self/mountinfo': `23 1 8:1 / / rw - ext4 /dev/sda1 rw\n${V2_MOUNT}`,
    'proc/self/cgroup': '0::/kubepods/pod7/container\n',
    'sys/fs/cgroup/kubepods/pod7/container/cpu.max': 'max 100000\n',
    'sys/fs/cgroup/kubepods/pod7/container/cpu.stat': 'usage_usec 5\n',
    'sys/fs/cgroup/kubepods/pod7/container/memory.max': 'max\n',
    'sys/fs/cgroup/kubepods/pod7/cpu.max': '50000 100000\n',
    'sys/fs/cgroup/kubepods/pod7/cpu.stat': 'usage_usec 1000000\nuser_usec 900000\n',
    'sys/fs/cgroup/kubepods/pod7/memory.max': '536870912\n',
    'sys/fs/cgroup/kubepods/cpu.max': '400000 100000\n',
    'sys/fs/cgroup/kubepods/memory.max': '8589934592\n',
  });
  const files = findCgroup(root);
  assert.equal(memoryLimit(files), 512 * 1_024 * 1_024);
  let now = 0;
  const cpu = new CgroupCpu(files, () => now);
  assert.equal(cpu.quota(), 0.5);
  const before = cpu.read();
  // 250 ms of CPU time in one second, of half a CPU.
  now = 1_000;
  write('sys/fs/cgroup/kubepods/pod7/cpu.stat', 'usage_usec 1250000\nuser_usec 900000\n');
  assert.equal(fractionUsed(before, cpu.read()), 0.5);
});

test('a quota that changes is seen; another group that becomes the tightest makes no jump', () => {
  const { root, write } = machine({
    'proc/self/mountinfo': V2_MOUNT,
    'proc/self/cgroup': '0::/a\n',
    'sys/fs/cgroup/a/cpu.max': '100000 100000\n',
    'sys/fs/cgroup/a/cpu.stat': 'usage_usec 0\n',
    'sys/fs/cgroup/cpu.max': '200000 100000\n',
    'sys/fs/cgroup/cpu.stat': 'usage_usec 900000000\n',
  });
  let now = 0;
  const cpu = new CgroupCpu(findCgroup(root), () => now);
  const first = cpu.read();
  write('sys/fs/cgroup/a/cpu.max', 'max 100000\n');
  now = 5_000;
  assert.equal(cpu.quota(), 1);
  now = 10_000;
  const second = cpu.read();
  assert.equal(cpu.quota(), 2);
  assert.equal(fractionUsed(first, second), 0);
  now = 11_000;
  write('sys/fs/cgroup/cpu.stat', 'usage_usec 901000000\n');
  assert.equal(fractionUsed(second, cpu.read()), 0.5);
});

test('version 1, and both at once: the controllers of version 1 count', () => {
  const { root, write } = machine({
    'proc/self/mountinfo':
      '31 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n' +
      '32 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n' +
      '33 23 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n',
    'proc/self/cgroup': '5:cpu,cpuacct:/svc\n4:memory:/svc\n0::/svc\n',
    'sys/fs/cgroup/cpu,cpuacct/svc/cpu.cfs_quota_us': '150000\n',
    'sys/fs/cgroup/cpu,cpuacct/svc/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/cpu,cpuacct/svc/cpuacct.usage': '0\n',
    'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
    'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/memory/svc/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  });
  const files = findCgroup(root);
  let now = 0;
  const cpu = new CgroupCpu(files, () => now);
  assert.equal(cpu.quota(), 1.5);
  const before = cpu.read();
  now = 1_000;
  write('sys/fs/cgroup/cpu,cpuacct/svc/cpuacct.usage', '3000000000\n');
  // May exceed 1: a quota can be overdrawn for a moment.
  assert.equal(fractionUsed(before, cpu.read()), 2);
  assert.ok(memoryLimit(files) > 2 ** 60);
});

test('a container without a namespace: its path is of the host, its mount is its own', () => {
  const { root } = machine({
    'proc/self/mountinfo':
      '31 23 0:28 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n' +
      '32 23 0:29 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n',
    'proc/self/cgroup': '5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n',
    'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '25000\n',
    'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '1048576\n',
  });
  const files = findCgroup(root);
  const cpu = new CgroupCpu(files, () => 0);
  assert.equal(cpu.quota(), 0.25);
  // No accounting is there: the quota still counts for the process's own share.
  assert.equal(cpu.read(), undefined);
  assert.equal(memoryLimit(files), 1_048_576);
});

test('a path out of the mount, files that make no sense, and no control groups at all: no limit', () => {
  const odd = machine({
    'proc/self/mountinfo': `${V2_MOUNT}nonsense\n`,
    'proc/self/cgroup': '0::/../../elsewhere\nnonsense\n',
    'sys/fs/cgroup/cpu.max': 'lots of it\n',
    'sys/fs/cgroup/memory.max': '\n',
  });
  for (const root of [odd.root, machine({}).root]) {
    const files = findCgroup(root);
    const cpu = new CgroupCpu(files, () => 0);
    assert.equal(cpu.quota(), Number.POSITIVE_INFINITY);
    assert.equal(cpu.read(), undefined);
    assert.equal(memoryLimit(files), Number.POSITIVE_INFINITY);
  }
});
