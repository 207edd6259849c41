/** A configuration's text with its places, and the flags laid over it. */
import { type Document, isMap, isNode, isPair, LineCounter, type Pair, parseAllDocuments } from 'yaml';
import { formatHostPort } from '../core/host-port.ts';
import { CONFIG_LIMITS } from '../core/limits.ts';
import { DNS_SCHEME, isName } from './address.ts';
import type { Flags } from './config.ts';
import type { Path, Problem } from './problem.ts';

export interface Source {
  /** What the text and the flags say, as plain values. */
  readonly raw: unknown;
  /** Mistakes of the YAML itself. */
  readonly problems: readonly Problem[];
  /** A problem at the place of a path, or of the nearest part of it that is there. */
  problem(path: Path, message: string, key?: string): Problem;
}

export function openSource(text: string, file: string, flags: Flags): Source {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const at = (offset: number, path: Path, message: string) => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col, path, message };
  };
  if (text.length > CONFIG_LIMITS.fileBytes) {
    const message = `is larger than ${CONFIG_LIMITS.fileBytes} bytes`;
    const problem = { file, path: [], message };
    return { raw: {}, problems: [problem], problem: () => problem };
  }
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const document = 'empty' in documents ? undefined : documents[0];
  for (const each of 'empty' in documents ? [] : documents) {
    for (const fault of each.errors) problems.push(at(fault.pos[0], [], `YAML: ${fault.message}`));
  }
  if (!('empty' in documents) && documents.length > 1) {
    problems.push(at(documents[1]?.range[0] ?? 0, [], 'holds more than one YAML document; expected one'));
  }
  let raw: unknown = {};
  try {
    // A file with broken YAML is not read any further: what it says is not known.
    raw = problems.length > 0 ? {} : (document?.toJS() ?? {});
  } catch (error) {
    problems.push(at(0, [], `YAML: ${(error as Error).message}`));
  }
  const overlay = overlayFlags(raw, flags);
  problems.push(...overlay.problems);
  return {
    raw: overlay.raw,
    problems,
    problem(path, message, key) {
      const flag = overlay.flagOf(path);
      if (flag !== undefined) return { file: flag, path, message };
      return at(document === undefined ? 0 : offsetOf(document, path, key), path, message);
    },
  };
}

/** Where in the text a value, one of its keys, or else its nearest parent begins. */
function offsetOf(document: Document, path: Path, key: string | undefined): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    if (!isNode(node)) continue;
    if (key !== undefined && depth === path.length && isMap(node)) {
      const pair = node.items.find((item): item is Pair => isPair(item) && String(item.key) === key);
      if (isNode(pair?.key) && pair.key.range) return pair.key.range[0];
    }
    if (node.range) return node.range[0];
  }
  return 0;
}

const ADDRESS_FLAGS = ['proxy', 'control', 'admin'] as const;

/** Lays the flags over what the file says, and remembers which path came from which flag. */
function overlayFlags(raw: unknown, flags: Flags) {
  const problems: Problem[] = [];
  const origins = new Map<string, string>();
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const given =
    flags.advertise !== undefined ||
    ADDRESS_FLAGS.some(name => flags[name] !== undefined) ||
    (flags.servers?.length ?? 0) > 0;
  // What is no map is reported by the schema, not hidden by a flag.
  if (!given || !isRecord(raw))
    return { raw, problems, flagOf: (_path: Path): string | undefined => undefined };

  const merged: Record<string, unknown> = { ...raw };
  for (const name of ADDRESS_FLAGS) {
    const listen = flags[name];
    const section = merged[name] ?? {};
    if (listen === undefined || !isRecord(section)) continue;
    merged[name] = { ...section, listen };
    origins.set(`${name}.listen`, `--${name}`);
  }
  if (flags.advertise !== undefined) advertise(merged, flags.advertise, origins);
  const listed = merged.servers ?? [];
  if (flags.servers !== undefined && flags.servers.length > 0 && Array.isArray(listed)) {
    const added = new Map<string, { address: string; services: string[] }>();
    for (const text of flags.servers) {
      const split = text.lastIndexOf('=');
      const [service, address] = split < 0 ? ['*', text] : [text.slice(0, split), text.slice(split + 1)];
      // A name stands for all its addresses; one that means this machine is one backend.
      const target = isName(address) ? `${DNS_SCHEME}${address}` : address;
      const server = added.get(address) ?? { address: target, services: [] };
      server.services.push(service);
      added.set(address, server);
    }
    merged.servers = [...listed, ...added.values()];
    let index = listed.length;
    for (const address of added.keys()) origins.set(`servers.${index++}`, `--server ${address}`);
  }
  return {
    raw: merged,
    problems,
    flagOf(path: Path): string | undefined {
      return origins.get(path.slice(0, 2).join('.'));
    },
  };
}

/** Ports where the file and the flags give none. */
const DEFAULT_PORTS = { control: '4701', proxy: '4700' } as const;

/** The host that others reach this instance at, with the ports that it listens on. */
function advertise(merged: Record<string, unknown>, host: string, origins: Map<string, string>): void {
  const bare = /^\[(.*)\]$/.exec(host)?.[1] ?? host;
  const told: Record<string, string> = {};
  for (const name of ['control', 'proxy'] as const) {
    const section = merged[name] as { readonly listen?: unknown } | null | undefined;
    const port = /:(\d+)$/.exec(String(section?.listen ?? ''))?.[1] ?? DEFAULT_PORTS[name];
    told[name] = formatHostPort(bare, port);
  }
  const instance = merged.instance ?? {};
  if (typeof instance !== 'object' || Array.isArray(instance)) return;
  merged.instance = { ...instance, advertise: told };
  origins.set('instance.advertise', `--advertise ${host}`);
}
