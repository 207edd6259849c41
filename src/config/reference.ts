/** The schema as a list of keys: for the reference, for hints in errors, and for what a reload may change. */
import type { z } from 'zod';
import { type KeyInfo, keyInfo } from './kinds.ts';
import { schema } from './schema.ts';

export interface Key {
  /** As in `servers[].weight`. */
  readonly name: string;
  /** Without the marks of lists. */
  readonly path: readonly string[];
  readonly info: KeyInfo;
  /** As one would write it; undefined where there is none. */
  readonly default: string | undefined;
}

interface Unwrapped {
  readonly info: KeyInfo | undefined;
  readonly inner: z.core.$ZodType;
  readonly fallback: unknown;
}

/** Takes off what wraps a type: defaults, optionality, preprocessing. */
function unwrap(type: z.core.$ZodType): Unwrapped {
  let inner = type;
  let info: KeyInfo | undefined;
  let fallback: unknown;
  for (;;) {
    info ??= keyInfo.get(inner as z.ZodType);
    const def = (inner as z.ZodType).def as unknown as Record<string, z.core.$ZodType> & { type: string };
    if (def.type === 'prefault') {
      fallback = def.defaultValue;
      inner = def.innerType as z.core.$ZodType;
    } else if (def.type === 'optional') {
      inner = def.innerType as z.core.$ZodType;
    } else if (def.type === 'pipe' && ['object', 'array'].includes((def.out as z.ZodType).def.type)) {
      inner = def.out as z.core.$ZodType;
    } else {
      return { info, inner, fallback };
    }
  }
}

function writeDefault(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (value === '') return "''";
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function walk(type: z.core.$ZodType, name: string, path: readonly string[], keys: Key[]): void {
  const { info, inner, fallback } = unwrap(type);
  const def = (inner as z.ZodType).def as unknown as {
    type: string;
    shape?: Record<string, z.core.$ZodType>;
    element?: z.core.$ZodType;
  };
  if (path.length > 0 && info !== undefined) keys.push({ name, path, info, default: writeDefault(fallback) });
  if (def.type === 'object') {
    for (const [key, child] of Object.entries(def.shape ?? {})) {
      walk(child, name === '' ? key : `${name}.${key}`, [...path, key], keys);
    }
  } else if (def.type === 'array' && def.element !== undefined) {
    const element = unwrap(def.element).inner as z.ZodType;
    // Items that are no maps are described by their list.
    if (element.def.type === 'object') {
      const shape = (element.def as unknown as { shape: Record<string, z.core.$ZodType> }).shape;
      for (const [key, child] of Object.entries(shape)) walk(child, `${name}[].${key}`, [...path, key], keys);
    }
  }
}

let all: readonly Key[] | undefined;

/** Every key, in the order of the schema; a section goes before its keys. */
export function listKeys(): readonly Key[] {
  if (all === undefined) {
    const keys: Key[] = [];
    walk(schema, '', [], keys);
    all = keys;
  }
  return all;
}

const names = (path: readonly (string | number)[]) => path.filter(part => typeof part === 'string');

/** The keys that are allowed below a path, without those that are kept for later. */
export function keysAt(path: readonly (string | number)[]): string[] {
  const parent = names(path);
  return listKeys()
    .filter(key => key.path.length === parent.length + 1 && parent.every((part, i) => part === key.path[i]))
    .filter(key => key.info.reserved !== true)
    .map(key => key.path.at(-1) ?? '');
}

/** Full names of the keys that end in this one. */
export function placesOf(key: string): string[] {
  return listKeys()
    .filter(each => each.path.at(-1) === key && each.info.reserved !== true)
    .map(each => each.name);
}

/** What is known of the value at a path of a resolved Config, where units are spelled out. */
export function infoOf(path: readonly (string | number)[]): KeyInfo | undefined {
  const wanted = names(path);
  return listKeys().find(
    ({ path: own, info }) =>
      own.length === wanted.length &&
      own.every((part, i) => (i === own.length - 1 ? `${part}${info.unit ?? ''}` : part) === wanted[i]),
  )?.info;
}
