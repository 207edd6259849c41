/** Tells of the process and of telling. */
import { readdirSync, statSync } from 'node:fs';
import { METRIC_LIMITS } from '../../../core/limits.ts';
import type { Mesh } from '../../../core/mesh.ts';
import type { Runtime } from '../../runtime.ts';
import type { CallCounter } from '../call-counter.ts';
import { INSTANCE } from '../catalog/instance.ts';
import type { Registry } from '../registry.ts';

export interface InstanceInfo {
  readonly id: string;
  readonly version: string;
}

export function tellInstance(
  registry: Registry,
  info: InstanceInfo,
  { runtime, mesh, calls, wall }: { runtime: Runtime; mesh: Mesh; calls: CallCounter; wall: () => number },
): void {
  const startSeconds = wall() / 1000 - process.uptime();
  registry.add(INSTANCE.build, out => out.add(1, info.version, process.versions.node, info.id));
  registry.add(INSTANCE.start, out => out.add(startSeconds));
  registry.add(INSTANCE.cpu, out => {
    const { user, system } = process.cpuUsage();
    out.add(user / 1e6, 'user');
    out.add(system / 1e6, 'system');
  });
  registry.add(INSTANCE.memory, out => {
    const { rss, heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage();
    out.add(rss, 'resident');
    out.add(heapTotal, 'heap');
    out.add(heapUsed, 'heap_used');
    out.add(external, 'external');
    out.add(arrayBuffers, 'array_buffers');
  });
  registry.add(INSTANCE.files, out => out.add(openFiles()));
  registry.add(INSTANCE.delay, out => {
    out.add(runtime.worst('delayP50') / 1000, 'p50');
    out.add(runtime.worst('delayP99') / 1000, 'p99');
    out.add(runtime.worst('delayMax') / 1000, 'max');
  });
  registry.add(INSTANCE.busy, out => out.add(runtime.last.busy));
  registry.add(INSTANCE.collections, out => {
    for (const { kind, collections } of runtime.gc) out.add(collections, kind);
  });
  registry.add(INSTANCE.collecting, out => {
    for (const { kind, seconds } of runtime.gc) out.add(seconds, kind);
  });
  registry.add(INSTANCE.scrape, out => out.add(registry.lastMs / 1000));
  registry.add(INSTANCE.slice, out => out.add(registry.lastSliceMs / 1000));
  registry.add(INSTANCE.full, out => {
    out.add(Number(mesh.loads.used > METRIC_LIMITS.backends), 'backends');
    out.add(Number(calls.attempts.isFull), 'attempts');
    out.add(Number(calls.methods.isFull), 'methods');
  });
}

/** NaN where the system does not tell. */
function openFiles(): number {
  try {
    // Linux since 6.2 says it here; to read the folder takes ms with many connections.
    const { size } = statSync('/proc/self/fd');
    return size > 0 ? size : readdirSync('/proc/self/fd').length - 1;
  } catch {
    return Number.NaN;
  }
}
