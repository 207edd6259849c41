/** What the proxies share: a folder for a configuration, and the end of a process. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Program } from '../program.ts';
import type { ProxyOptions, RunningProxy } from '../proxy-under-test.ts';

/** Folders that are there; a proxy that does not start leaves none behind either. */
const folders = new Set<string>();
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is gone when the proxy is. */
export function configFile(name: string, text: string): { folder: string; path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-proxy-'));
  folders.add(folder);
  const path = join(folder, name);
  writeFileSync(path, text);
  return { folder, path };
}

export function running(
  name: string,
  address: string,
  program: Program,
  folder: string,
  drain: NodeJS.Signals,
): RunningProxy {
  void program.ended.then(() => {
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  });
  return {
    name,
    address,
    pid: program.pid,
    ended: program.ended,
    printed: program.printed,
    drain: () => void program.child.kill(drain),
    async stop() {
      await program.stop(1_000);
    },
  };
}

/** The first match of `pattern` in what a program says of its version. */
export function saidVersion(file: string, args: readonly string[], pattern: RegExp): string {
  const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown';
}

export const DEFAULTS = { maxConcurrentStreams: 100, maxConnections: 2_000, drainTimeoutMs: 10_000 };

/** Files that a proxy may need open: two sockets a caller, and its own. Undefined where any limit will do. */
export function openFiles({ maxConnections }: ProxyOptions): number | undefined {
  return maxConnections === undefined ? undefined : 2 * maxConnections + 1_000;
}

/** The weight of the backend at `index`: 100 or 1, or undefined where all are alike. */
export function weightOf({ heavy }: ProxyOptions, index: number): number | undefined {
  return heavy === undefined ? undefined : index < heavy ? 100 : 1;
}
