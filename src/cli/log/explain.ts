/** `heapmesh log explain`: why a server was picked, from what the log has. */
import { bestOf, type Candidate, type Decision } from '../../core/decision.ts';
import { adoptNote } from '../../core/load-note.ts';
import { Mesh } from '../../core/mesh.ts';
import type { Files } from '../../state/files.ts';
import { decisionsOf, type Past, stateAt } from '../../state/history.ts';
import { CliError } from '../cli.ts';

export interface Explanation {
  /** True for a pick that was noted; a rebuilt heap tells what is likely. */
  readonly exact: boolean;
  readonly service: string;
  /** Wall clock, ms since 1970. */
  readonly time: number;
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

/** The pick of a service at a time: the noted one just before it, or the heap as it can be rebuilt. */
export async function explainAt(files: Files, service: string, time: number): Promise<Explanation> {
  const near = await decisionsOf(
    files,
    one => one.service === service && one.time <= time && one.time > time - NEAR_MS,
  );
  const past = await stateAt(files, time);
  const noted = near.at(-1);
  if (noted !== undefined) return exactly(noted, past);
  if (past === undefined) {
    const when = new Date(time).toISOString();
    throw new CliError(
      `the log in ${files.directory} does not reach back to ${when}: see \`heapmesh log verify\``,
    );
  }
  return rebuilt(past, service, time);
}

/** The pick of a lease, where it was noted. */
export async function explainLease(files: Files, id: string): Promise<Explanation> {
  if (!LEASE_ID.test(id)) throw new CliError(`'${id}' is no lease id: it has 40 letters, digits, - and _`);
  // As control/lease-id.ts makes it: instance (6) and epoch (6), then the handle (4) and what is random.
  const bytes = Buffer.from(id, 'base64url');
  const began = bytes.readUIntBE(6, 6);
  const handle = bytes.readUInt32BE(12);
  const found = await decisionsOf(files, one => one.lease === handle && one.time >= began);
  const [noted] = found;
  if (noted === undefined) {
    throw new CliError(
      `the pick of lease ${id} was not noted: state.decisions.sampleRatio says how many are. ` +
        `Its balancer began at ${new Date(began).toISOString()}; with the time of the call, \`--service S --at TIME\` rebuilds the heap`,
    );
  }
  return exactly(noted, await stateAt(files, noted.time));
}

function exactly(noted: Decision, past: Past | undefined): Explanation {
  const { service, time, serverId, policy, want, members, eligible, best } = noted;
  const outside = past === undefined ? [] : outsideOf(meshOf(past, time), service);
  return {
    exact: true,
    service,
    time,
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

function rebuilt(past: Past, service: string, time: number): Explanation {
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
    picked: best[0]?.id ?? '',
    policy: '',
    want: '',
    members: [...pool.members()].length,
    eligible: pool.eligible,
    best,
    outside: outsideOf(mesh, service),
    unknown: [
      age === undefined
        ? 'no load was noted before that time: servers stand by their weight alone'
        : `load was noted ${age} s before; picks, completions and reports since then are not in the log`,
      "calls that this instance had in flight are not noted, so `own` is 0, and others' calls are an estimate that fades",
      'which servers were newcomers at the root, and what policy, zone, key or exclusion the caller had, is not in the log',
      'state.decisions.sampleRatio notes a share of all picks with all that they were made from',
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
