/** `heapmesh log explain`: why a server was picked, from what the log has. */
import { bestOf, type Candidate, type Decision } from '../../core/decision.ts';
import { adoptNote } from '../../core/load-note.ts';
import { Mesh } from '../../core/mesh.ts';
import { parseTraceparent } from '../../grpc/trace-context.ts';
import type { Files } from '../../state/files.ts';
import { decisionsOf, type Past, stateAt } from '../../state/history.ts';
import { CliError } from '../cli.ts';

export interface Explanation {
  /** True for a pick that was noted; a rebuilt heap tells what is likely. */
  readonly exact: boolean;
  readonly service: string;
  /** Wall clock, ms since 1970. */
  readonly time: number;
  /** Trace of the call that it was made for, 32 digits; empty where it has none, or that is not known. */
  readonly trace: string;
  /** Who was picked, or would have been; empty where nobody was. */
  readonly picked: string;
  readonly policy: string;
  readonly want: string;
  readonly members: number;
  readonly eligible: number;
  /** The picked one and the runners-up, in order. */
  readonly best: readonly Candidate[];
  /** Servers of the pool that could not be picked, with their state and its cause. */
  readonly outside: readonly { readonly id: string; readonly state: string; readonly cause: string }[];
  /** What the log cannot tell, in sentences. */
  readonly unknown: readonly string[];
}

/** How far before a time a noted pick may lie to be meant by it, ms. */
const NEAR_MS = 1_000;
/** Times of a lease's id and of the log are taken by one clock a moment apart. */
const LEASE_ID = /^[A-Za-z0-9_-]{40}$/;

/** A service and a time, ms since 1970: what the heap is rebuilt for where a pick was not noted. */
export interface Moment {
  readonly service: string;
  readonly time: number;
}

/** The pick of a service at a time: the noted one just before it, or the heap as it can be rebuilt. */
export async function explainAt(files: Files, { service, time }: Moment): Promise<Explanation> {
  const near = await decisionsOf(
    files,
    one => one.service === service && one.time <= time && one.time > time - NEAR_MS,
  );
  const noted = near.at(-1);
  if (noted !== undefined) return exactly(noted, await stateAt(files, time));
  return explainUnnoted(files, { service, time }, []);
}

/**
 * The pick of a lease: within one life of a balancer the number that a noted pick has of its lease comes again, so
 * several may be found, of which one is meant. `others` are their times, ms since 1970, the newest first.
 */
export async function explainLease(
  files: Files,
  id: string,
  moment: Moment | undefined,
): Promise<{ readonly newest: Explanation; readonly others: readonly number[] }> {
  if (!LEASE_ID.test(id)) throw new CliError(`'${id}' is no lease id: it has 40 letters, digits, - and _`);
  // As control/lease-id.ts makes it: instance (6) and epoch (6), then the handle (4) and what is random.
  const bytes = Buffer.from(id, 'base64url');
  const began = bytes.readUIntBE(6, 6);
  const handle = bytes.readUInt32BE(12);
  const found = await decisionsOf(files, (one, epoch) => one.lease === handle && epoch === began);
  const [noted, ...others] = found.reverse();
  const newest =
    noted === undefined
      ? await notNoted(
          files,
          moment,
          `the pick of lease ${id} was not noted`,
          `Its balancer began at ${new Date(began).toISOString()}; with the service and the time of the call`,
        )
      : exactly(noted, await stateAt(files, noted.time));
  return { newest, others: others.map(({ time }) => time) };
}

/** A trace id, alone or in a `traceparent`, in lower case; undefined where it is neither. */
export function readTraceId(text: string): string | undefined {
  const given = text.trim().toLowerCase();
  return /^(?!0{32})[0-9a-f]{32}$/.test(given) ? given : parseTraceparent(given)?.traceId;
}

/** All picks of a trace that were noted, in the order in which they were made: each attempt of each of its calls is one. */
export async function explainTrace(
  files: Files,
  traceId: string,
  moment: Moment | undefined,
): Promise<Explanation[]> {
  const found = await decisionsOf(files, one => one.traceId === traceId);
  if (found.length === 0) {
    const what = `no pick of trace ${traceId} was noted`;
    return [await notNoted(files, moment, what, 'With the service and the time of its call')];
  }
  const all: Explanation[] = [];
  let at = Number.NaN;
  let past: Past | undefined;
  for (const noted of found) {
    // Attempts follow each other within a ms, and each look at the past reads the whole log.
    if (noted.time !== at) past = await stateAt(files, noted.time);
    at = noted.time;
    all.push(exactly(noted, past));
  }
  return all;
}

async function notNoted(
  files: Files,
  moment: Moment | undefined,
  what: string,
  hint: string,
): Promise<Explanation> {
  const why = `${what}: state.decisions.sampleRatio says how many are`;
  if (moment !== undefined) return explainUnnoted(files, moment, [why]);
  throw new CliError(`${why}. ${hint}, \`--service S --at TIME\` rebuilds the heap`);
}

/** The heap as it can be rebuilt. @param unknown what else the log cannot tell */
async function explainUnnoted(
  files: Files,
  { service, time }: Moment,
  unknown: readonly string[],
): Promise<Explanation> {
  const past = await stateAt(files, time);
  if (past !== undefined) return rebuilt(past, service, time, unknown);
  const when = new Date(time).toISOString();
  throw new CliError(
    `the log in ${files.directory} does not reach back to ${when}: see \`heapmesh log verify\``,
  );
}

function exactly(noted: Decision, past: Past | undefined): Explanation {
  const { service, time, serverId, policy, want, members, eligible, best, traceId } = noted;
  const outside = past === undefined ? [] : outsideOf(meshOf(past, time), service);
  return {
    exact: true,
    service,
    time,
    trace: traceId,
    picked: serverId,
    policy,
    want,
    members,
    eligible,
    best,
    outside,
    unknown: [],
  };
}

function rebuilt(past: Past, service: string, time: number, unknown: readonly string[]): Explanation {
  const mesh = meshOf(past, time);
  const pool = mesh.pool(service);
  if (pool === undefined) {
    throw new CliError(`no server served '${service}' at ${new Date(time).toISOString()}`);
  }
  const best = bestOf(pool, time, slot => mesh.idOf(slot));
  const note = past.loads.toSorted((a, b) => a.time - b.time).at(-1);
  const age = note === undefined ? undefined : ((time - note.time) / 1000).toFixed(1);
  return {
    exact: false,
    service,
    time,
    trace: '',
    picked: best[0]?.id ?? '',
    policy: '',
    want: '',
    members: [...pool.members()].length,
    eligible: pool.eligible,
    best,
    outside: outsideOf(mesh, service),
    unknown: [
      ...unknown,
      age === undefined
        ? 'no load was noted before that time: servers stand by their weight alone'
        : `load was noted ${age} s before; picks, completions and reports since then are not in the log`,
      "calls that this instance had in flight are not noted, so `own` is 0, and others' calls are an estimate that fades",
      'which servers were newcomers at the root, and what policy, zone, key or exclusion the caller had, is not in the log',
      'state.decisions.sampleRatio notes a share of all picks with all that they were made from, state.decisions.traced those of traces',
    ],
  };
}

/** A mesh that stands still at that time. */
function meshOf(past: Past, time: number): Mesh {
  const mesh = new Mesh({
    instanceId: past.origin,
    epoch: past.epoch + 1,
    append: () => {},
    wallClock: () => time,
    clock: () => time,
    // Nobody is drawn for a newcomer's place: who was cannot be told.
    random: () => 1,
  });
  mesh.registry.restore(past.snapshot);
  for (const note of past.loads.toSorted((a, b) => a.time - b.time)) adoptNote(mesh, note, time, time);
  return mesh;
}

function outsideOf(mesh: Mesh, service: string): Explanation['outside'] {
  const outside: { id: string; state: string; cause: string }[] = [];
  for (const { spec, state, cause } of mesh.registry.list()) {
    const isIn = state === 'ACTIVE' || state === 'WARMING';
    if (!isIn && (spec.services.includes(service) || spec.services.includes('*'))) {
      outside.push({ id: spec.id, state, cause });
    }
  }
  return outside;
}
