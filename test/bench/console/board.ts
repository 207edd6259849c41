/** A balancer with servers that report each second, and how long its event loop was held up. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProgram } from '../../support/program.ts';
import { start } from '../processes.ts';
import type { Cleanup } from '../proxy/rig.ts';

export interface Board {
  /** Of the admin port. */
  readonly url: string;
  readonly pid: number;
}

const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));

/** Resolves when all servers are connected. */
export async function startBoard(cleanup: Cleanup, servers: number, seconds: number): Promise<Board> {
  const announced = Promise.withResolvers<string>();
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-console-'));
  cleanup.add(() => rmSync(folder, { recursive: true }));
  const any = { listen: '127.0.0.1:0' };
  const file = join(folder, 'heapmesh.yaml');
  // Nobody listens where the servers say that they are. JSON is YAML.
  writeFileSync(file, JSON.stringify({ proxy: any, control: any, admin: any, health: { check: 'none' } }));
  const args = [
    '--conditions=heapmesh-source',
    '--no-warnings',
    MAIN,
    'serve',
    '--config',
    file,
    '-o',
    'json',
  ];
  const program = await startProgram(process.execPath, args, {
    openFiles: 21_000,
    onLine: line => announced.resolve(line),
  });
  cleanup.add(() => program.stop());
  void program.ended.then(end =>
    announced.reject(new Error(`heapmesh ended (${end}): ${program.printed()}`)),
  );
  const { control, admin } = JSON.parse(await announced.promise) as Record<'control' | 'admin', string>;
  const reporters = await start<{ open: number }>('./report-load.ts', [
    control,
    String(servers),
    String(seconds),
  ]);
  cleanup.add(() => reporters.stop());
  return { url: `http://${admin}/`, pid: program.pid };
}

/** What so many consoles on the overview ask for, without drawing it; returns what ends them. */
export function readers(url: string, count: number, service: string): () => void {
  const key = encodeURIComponent(service);
  const ask = (path: string) => get(`${url}api/${path}`, response => response.resume()).on('error', () => {});
  const streams = Array.from({ length: count }, () => ask(`stream?service=${key}`));
  const polls = Array.from({ length: count }, () => [
    setInterval(ask, 2_000, `history?scope=pool&key=${key}&span=180`),
    setInterval(ask, 5_000, 'findings'),
  ]).flat();
  return () => {
    for (const stream of streams) stream.destroy();
    for (const poll of polls) clearInterval(poll);
  };
}

interface Window {
  readonly times: readonly number[];
  readonly values: Readonly<Record<string, readonly (number | null)[]>>;
}

/** The longest that the event loop was late in each step of 2 s since `since` (wall clock, ms), and its busy share. */
export async function holds(
  url: string,
  since: number,
): Promise<{ readonly longestMs: number[]; readonly busy: number[] }> {
  const answer = await fetch(`${url}api/history?scope=instance&key=&span=180&names=loopDelayMax,loopBusy`);
  const { times, values } = (await answer.json()) as Window;
  const of = (name: string): number[] =>
    (values[name] ?? []).filter(
      (value, at): value is number => value !== null && (times[at] as number) > since + 2_000,
    );
  return { longestMs: of('loopDelayMax'), busy: of('loopBusy') };
}
