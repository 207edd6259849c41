/**
 * Loaded into a balancer by `--import`: notes in a file how its event loop is held up, a line of JSON a stall. A timer
 * of 1 ms that comes late says so; what the process worked meanwhile tells a stall of its own from the kernel's, which
 * gave the core to somebody else. On a core that the process is pinned to, the two add up.
 *
 * With a profile, SIGUSR2 says where the time of each stall went.
 */
import { openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';
import { PerformanceObserver } from 'node:perf_hooks';

export interface Stall {
  /** When it ended, ms since 1970. */
  readonly at: number;
  /** How late the timer came, and what of it the process worked, ms. */
  readonly ms: number;
  readonly ownMs: number;
  /** What of its work was that of the thread that serves calls: the others collect and compile. */
  readonly mainMs: number;
  /**
   * For how long the kernel had given the core to others meanwhile, and in the 250 ms before: then all that came in that
   * time is done at once, and the stall is no fault of the process.
   */
  readonly awayMs: number;
  /** What of it collections took. */
  readonly gcMs: number;
}

export interface Explained extends Stall {
  readonly where: readonly string[];
}

/** Shorter ones are not noted. */
export const NOTED_MS = 3;
const TICK_MS = 1;
/** How long it shows that the process was not on its core. */
const AWAY_SHOWS_MS = 250;
/** Collections are told of a little after they were. */
const TOLD_AFTER_MS = 200;
const PROFILE_EACH_US = 1_000;

const file = process.env.HEAPMESH_STALLS;
const withProfile = process.env.HEAPMESH_STALLS_PROFILE === '1';
if (file !== undefined && process.argv[1]?.endsWith('main.ts')) watch(file);

function watch(into: string): void {
  const windows: { from: number; to: number; stall: Stall }[] = [];
  let collections: { from: number; to: number }[] = [];
  new PerformanceObserver(list => {
    const now = performance.now();
    collections = collections.filter(({ to }) => to > now - 5_000);
    for (const { startTime, duration } of list.getEntries()) {
      collections.push({ from: startTime, to: startTime + duration });
    }
  }).observe({ entryTypes: ['gc'] });
  const out = openSync(into, 'a');
  let before = performance.now();
  let cpu = process.cpuUsage();
  let main = process.threadCpuUsage();
  let absences: { readonly at: number; readonly ms: number }[] = [];
  setInterval(() => {
    const now = performance.now();
    const used = process.cpuUsage();
    const usedHere = process.threadCpuUsage();
    const late = now - before - TICK_MS;
    const worked = (used.user + used.system - cpu.user - cpu.system) / 1_000;
    if (late - worked > 0.5) absences.push({ at: now, ms: late - worked });
    if (late > NOTED_MS) {
      const from = before;
      absences = absences.filter(({ at }) => at > now - AWAY_SHOWS_MS);
      const awayMs = absences.reduce((sum, { ms }) => sum + ms, 0);
      const mainMs = (usedHere.user + usedHere.system - main.user - main.system) / 1_000;
      const told = { at: Date.now(), ms: late, ownMs: Math.min(late, worked), mainMs, awayMs };
      setTimeout(() => {
        const gcMs = collections.reduce(
          (sum, gc) => sum + Math.max(0, Math.min(gc.to, now) - Math.max(gc.from, from)),
          0,
        );
        writeSync(out, `${JSON.stringify({ ...told, gcMs } satisfies Stall)}\n`);
        if (withProfile) windows.push({ from, to: now, stall: { ...told, gcMs } });
      }, TOLD_AFTER_MS).unref();
    }
    before = now;
    cpu = used;
    main = usedHere;
  }, TICK_MS).unref();
  if (withProfile) profile(`${into}.profile`, windows);
}

function profile(into: string, windows: readonly { from: number; to: number; stall: Stall }[]): void {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: PROFILE_EACH_US });
  session.post('Profiler.start');
  // The profile's clock is the monotonic one in µs; so is this.
  const zeroUs = Number(process.hrtime.bigint() / 1_000n) - performance.now() * 1_000;
  process.once('SIGUSR2', () => {
    session.post('Profiler.stop', (error, result) => {
      if (error !== null) return;
      const lines: string[] = [];
      for (const { from, to, stall } of windows) {
        if (stall.ownMs < NOTED_MS) continue;
        const where = whereOf(result.profile, from * 1_000 + zeroUs, to * 1_000 + zeroUs);
        lines.push(JSON.stringify({ ...stall, where } satisfies Explained));
      }
      writeFileSync(`${into}.part`, lines.join('\n'));
      renameSync(`${into}.part`, into);
    });
  });
}

/** What a time was spent in: the first functions of ours on the stack, with what they were called from, by their share. */
function whereOf(
  { nodes, samples = [], timeDeltas = [], startTime }: Profiler.Profile,
  fromUs: number,
  toUs: number,
): string[] {
  const byId = new Map(nodes.map(node => [node.id, node]));
  const parents = new Map<number, number>();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node.id);
  const shares = new Map<string, number>();
  let count = 0;
  let at = startTime;
  for (const [index, id] of samples.entries()) {
    at += timeDeltas[index] as number;
    if (at < fromUs || at > toUs) continue;
    count++;
    const stack: string[] = [];
    for (let node = byId.get(id); node !== undefined; node = byId.get(parents.get(node.id) ?? -1)) {
      const { functionName, url, lineNumber } = node.callFrame;
      const isOurs = url !== '' && !url.startsWith('node:');
      const name = functionName || 'anonymous';
      if (isOurs) stack.unshift(`${name} ${url.split('/').slice(-2).join('/')}:${lineNumber + 1}`);
      else if (stack.length === 0) stack.unshift(name);
    }
    const where = stack.slice(0, 3).join(' > ');
    shares.set(where, (shares.get(where) ?? 0) + 1);
  }
  return [...shares]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 5)
    .map(([where, n]) => `${((100 * n) / count).toFixed(0)} % ${where}`);
}
