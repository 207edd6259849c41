/**
 * What proposals and snapshots both hold.
 *
 *   spec    = id:string address:string services:list(string) weight:number zone:string
 *             labels:list(key:string value:string) maxConcurrency:number standby:byte
 *   list(x) = varint: how many, then each x
 *   source, drainer, afterwards, phase = byte: a place in the table below, from 1; 0 is none
 *
 * Tables grow at their end. A place that this version does not know makes what holds it unknown.
 */
import type { DrainView, ServerSpec, Source } from '../core/core.ts';
import type { AfterDrain, Observation } from '../core/entries.ts';
import { CodecError, type Reader, type Writer } from './bytes.ts';

/** In the order in which they came to be, which is not that of their strength. */
const SOURCES: readonly Source[] = ['operator', 'stream', 'command', 'config', 'dns'];
const DRAINERS: readonly DrainView['by'][] = ['operator', 'backend', 'scaling'];
const AFTERWARDS: readonly AfterDrain[] = ['stay', 'remove', 'standby'];
const PHASES: readonly Observation['phase'][] = ['warming', 'active', 'ejected'];

/** A value that a newer version has: what holds it is kept and not understood. */
export class UnknownValue extends CodecError {}

function placeIn<T>(table: readonly T[], value: T): number {
  const place = table.indexOf(value) + 1;
  if (place === 0) throw new RangeError(`'${String(value)}' has no place in the log's format`);
  return place;
}

function atPlace<T>(table: readonly T[], place: number, what: string): T {
  const value = table[place - 1];
  if (value === undefined) throw new UnknownValue(`the ${what} number ${place}`);
  return value;
}

export const writeSource = (out: Writer, value: Source): void => out.byte(placeIn(SOURCES, value));
export const readSource = (from: Reader): Source => atPlace(SOURCES, from.byte(), 'source');

export const writeDrainer = (out: Writer, value: DrainView['by']): void => out.byte(placeIn(DRAINERS, value));
export const readDrainer = (from: Reader): DrainView['by'] => atPlace(DRAINERS, from.byte(), 'drainer');

export const writeAfterwards = (out: Writer, value: AfterDrain): void => out.byte(placeIn(AFTERWARDS, value));
export const readAfterwards = (from: Reader): AfterDrain =>
  atPlace(AFTERWARDS, from.byte(), 'end of a drain');

const HEALTHY = 1;
const DOUBTFUL = 2;

export function writeObservation(out: Writer, { phase, healthy, doubtful }: Observation): void {
  out.byte(placeIn(PHASES, phase));
  out.byte((healthy ? HEALTHY : 0) | (doubtful ? DOUBTFUL : 0));
}

export function readObservation(from: Reader): Observation {
  const phase = atPlace(PHASES, from.byte(), 'phase');
  const flags = from.byte();
  const healthy = (flags & HEALTHY) !== 0;
  return (flags & DOUBTFUL) === 0 ? { phase, healthy } : { phase, healthy, doubtful: true };
}

export function writeSpec(out: Writer, spec: ServerSpec): void {
  out.string(spec.id);
  out.string(spec.address);
  out.varint(spec.services.length);
  for (const service of spec.services) out.string(service);
  out.number(spec.weight);
  out.string(spec.zone);
  const labels = Object.entries(spec.labels);
  out.varint(labels.length);
  for (const [key, value] of labels) {
    out.string(key);
    out.string(value);
  }
  out.number(spec.maxConcurrency);
  out.bool(spec.standby);
}

export function readSpec(from: Reader): ServerSpec {
  const id = from.string();
  const address = from.string();
  const services = readList(from, 1, reader => reader.string());
  const weight = from.number();
  const zone = from.string();
  const labels = readLabels(from);
  return { id, address, services, weight, zone, labels, maxConcurrency: from.number(), standby: from.bool() };
}

function readLabels(from: Reader): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (let left = from.count(2); left > 0; left--) {
    const key = from.string();
    const value = from.string();
    if (key !== '__proto__') labels[key] = value;
    else Object.defineProperty(labels, key, { value, enumerable: true, writable: true, configurable: true });
  }
  return labels;
}

/** `octets` is the least that an item takes. */
export function readList<T>(from: Reader, octets: number, read: (from: Reader) => T): T[] {
  const count = from.count(octets);
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(read(from));
  return items;
}
