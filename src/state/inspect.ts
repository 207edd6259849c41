/** The files of a log as people look at them, whole or not: what is in them, what is wrong, and mending it. */
import type { Decision } from '../core/decision.ts';
import type { Proposal } from '../core/entries.ts';
import type { LoadNote } from '../core/load-note.ts';
import { type Snapshot, snapshotDigest } from '../core/snapshot.ts';
import { CodecError } from './bytes.ts';
import { decodeProposal, Message } from './codec.ts';
import { decodeDecision } from './decision-codec.ts';
import type { Files } from './files.ts';
import { BROKEN, type FileHead, namesAmong } from './format.ts';
import { decodeLoads } from './load-codec.ts';
import { cutEnd, DamageError, Replay, recover } from './recovery.ts';
import { type Scan, scanFile } from './scan.ts';
import { BadSnapshot, readSnapshot } from './snapshot-file.ts';

export type Content =
  | { readonly kind: 'entry'; readonly proposal: Proposal }
  | { readonly kind: 'loads'; readonly loads: LoadNote }
  | { readonly kind: 'decision'; readonly decision: Decision }
  | { readonly kind: 'end' }
  | { readonly kind: 'unknown'; readonly type: number };

export interface Found {
  readonly file: string;
  /** Octets from the beginning of the file. */
  readonly at: number;
  readonly position: number;
  /** Wall clock when it was written, ms since 1970. */
  readonly time: number;
  readonly content: Content;
}

/** Hands over every record of every file in order, as far as each is whole. Files are not changed. */
export async function readAll(
  files: Files,
  take: (found: Found) => void,
  wanted: (type: number) => boolean = () => true,
): Promise<void> {
  const { logs } = namesAmong(await files.list());
  for (const { name } of logs) {
    await scanFile(files, name, (bytes, start, end, position, time, at) => {
      const type = bytes[start] as number;
      if (wanted(type)) {
        take({ file: name, at, position, time, content: contentOf(type, bytes.subarray(start, end)) });
      }
    });
  }
}

function contentOf(type: number, message: Buffer): Content {
  switch (type) {
    case Message.PROPOSAL:
      return { kind: 'entry', proposal: decodeProposal(message) };
    case Message.LOADS:
      return { kind: 'loads', loads: decodeLoads(message) };
    case Message.DECISION:
      return { kind: 'decision', decision: decodeDecision(message) };
    case Message.END:
      return { kind: 'end' };
    default:
      return { kind: 'unknown', type };
  }
}

export interface FileReport {
  readonly file: string;
  readonly octets: number;
  readonly records: number;
  /** Of its entries; equal to each other and below `first` where it has none. */
  readonly first: number;
  readonly last: number;
  readonly head: FileHead | undefined;
  /** Empty where it is whole. */
  readonly fault: string;
  /** Where the fault is. */
  readonly at: number;
  /** The end that a crash leaves: the next start cuts it off by itself. */
  readonly torn: boolean;
}

/** Reads everything, old files and snapshots too, and folds as far as there is no hole. */
export async function verify(files: Files): Promise<FileReport[]> {
  const names = namesAmong(await files.list());
  const reports: FileReport[] = [];
  const snapshots: Snapshot[] = [];
  for (const { name, position } of names.snapshots) {
    const file = await files.open(name, 'read');
    const octets = await file.size().finally(() => file.close());
    const report = { file: name, octets, records: 0, first: position, last: position, torn: false };
    try {
      const { snapshot, head } = await readSnapshot(files, name);
      snapshots.push(snapshot);
      reports.push({ ...report, records: snapshot.records.length, head, fault: '', at: 0 });
    } catch (error) {
      if (!(error instanceof BadSnapshot)) throw error;
      reports.push({ ...report, head: undefined, fault: error.message, at: error.at });
    }
  }
  // Folding from the oldest snapshot, every later one must have the facts that the entries make.
  let replay: Replay | undefined;
  let before: Scan | undefined;
  for (const [i, { name }] of names.logs.entries()) {
    let wrong = '';
    let wrongAt = 0;
    const scan = await scanFile(files, name, (bytes, start, end, position, _time, at) => {
      if (wrong !== '') return;
      replay ??= basisOf(snapshots, position - 1);
      try {
        replay?.record(bytes, start, end, position);
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
        wrong = error.message;
        wrongAt = at;
      }
      const here = bytes[start] === Message.PROPOSAL && snapshots.find(one => one.position === position);
      if (replay === undefined || !here) return;
      const facts = snapshotDigest(replay.done().snapshot);
      if (facts !== snapshotDigest(here)) {
        wrong = `the entries up to ${position} make facts ${facts}, the snapshot has ${snapshotDigest(here)}`;
        wrongAt = at;
      }
    });
    const isLast = i === names.logs.length - 1;
    if (wrong === '' && before !== undefined && scan.head !== undefined && !scan.head.fresh) {
      if (scan.head.chain !== before.chain) wrong = 'it does not go on from the file before it';
    }
    const fault = wrong || (scan.fault?.why ?? '');
    reports.push({
      file: name,
      octets: scan.size,
      records: scan.records,
      first: scan.head?.first ?? 0,
      last: scan.last,
      head: scan.head,
      fault,
      at: wrong === '' ? scan.end : wrongAt,
      torn: wrong === '' && isLast && scan.fault?.wasDurable === false,
    });
    before = scan;
  }
  return reports;
}

/** A fold that can go on with the entry behind a position. */
function basisOf(snapshots: readonly Snapshot[], position: number): Replay | undefined {
  if (position === 0) return new Replay(undefined);
  const basis = snapshots.find(one => one.position >= position);
  return basis && new Replay(basis);
}

/**
 * Cuts the log where it is damaged, so that an instance can start from what is before. What is cut off is
 * kept under names that end in `.broken`. Returns what was done, in words; nothing where nothing was wrong.
 */
export async function repair(files: Files): Promise<string[]> {
  const done: string[] = [];
  // Each round takes at least one file out of the way, or cuts one.
  for (;;) {
    try {
      const { cut } = await recover(files);
      if (cut)
        done.push(
          `${cut.file}: the torn end, ${cut.octets} octets from ${cut.at} on, was cut off (${cut.why})`,
        );
      return done;
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      done.push(...(await cutAt(files, error)));
    }
  }
}

async function cutAt(files: Files, { fileName: name, offset, message }: DamageError): Promise<string[]> {
  const done: string[] = [];
  const aside = async (file: string, why: string): Promise<void> => {
    await files.rename(file, `${file}${BROKEN}`);
    done.push(`${file}: put aside as ${file}${BROKEN} (${why})`);
  };
  const { logs, snapshots } = namesAmong(await files.list());
  if (snapshots.some(one => one.name === name)) {
    await aside(name, 'the snapshot is damaged; an older one and the entries behind it take its place');
  } else {
    const scan = await scanFile(files, name, () => {});
    // A file that does not go on from the one before is whole in itself, and of no use.
    if (scan.fault === undefined) await aside(name, 'it does not go on from the file before it');
    else {
      await cutEnd(files, name, scan);
      done.push(
        `${name}: cut at ${offset}, ${scan.size - scan.end} octets were put aside (${scan.fault.why})`,
      );
    }
    const sequence = logs.find(one => one.name === name)?.sequence ?? 0;
    for (const later of logs.filter(one => one.sequence > sequence)) {
      await aside(later.name, 'it goes on from what was cut off');
    }
  }
  await files.sync();
  if (done.length === 0) throw new Error(`it cannot be mended: ${message}`);
  return done;
}
