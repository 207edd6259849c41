/**
 * The kinds of value that a key can hold. Each key is registered with what the reference and the
 * errors say of it, so that neither can drift from what is really checked.
 */
import { z } from 'zod';
import { cidrFault, DNS_SCHEME, dnsName, formatAddress, isServiceName, parseAddress } from './address.ts';
import { parseDuration, parseSize } from './units.ts';

/** What is known of one key. */
export interface KeyInfo {
  /** One or two sentences for the reference. */
  readonly about: string;
  /** The kind of value, in two or three words. */
  readonly kind: string;
  /** Takes effect without a restart when the file changes. */
  readonly live?: boolean;
  /** Not in this version; a value is an error. */
  readonly reserved?: boolean;
  /** How the resolved Config spells the unit of a bare number. */
  readonly unit?: 'Ms' | 'Octets';
}

export const keyInfo = z.registry<KeyInfo>();

type About = Omit<KeyInfo, 'kind' | 'unit'>;

class Fault {
  readonly what: string;
  constructor(what: string) {
    this.what = what;
  }
}

/** Names a value from a YAML file for an error message. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'is missing';
  if (value === null) return 'is empty';
  if (Array.isArray(value)) return 'is a list';
  if (typeof value === 'object') return 'is a map';
  if (typeof value === 'string') return `is '${value.length > 60 ? `${value.slice(0, 57)}...` : value}'`;
  return `is ${String(value)}`;
}

function scalar<T>(kind: string, expected: string, read: (value: unknown) => T | Fault) {
  return (info: About, unit?: KeyInfo['unit']) => {
    const type = z.unknown().transform((value, context): T => {
      const result = read(value);
      if (!(result instanceof Fault)) return result;
      const why = result.what === '' ? '' : ` (${result.what})`;
      context.addIssue({ code: 'custom', message: `${describeValue(value)}${why}; expected ${expected}` });
      return z.NEVER;
    });
    type.register(keyInfo, { ...info, kind, ...(unit === undefined ? {} : { unit }) });
    return type;
  };
}

const NOT_IT = new Fault('');

export function text(
  info: About,
  options: { longest: number; pattern?: RegExp; expected: string; kind: string },
) {
  return scalar(options.kind, options.expected, value => {
    // An id of digits, or one that is `yes` or `null`, is meant as text.
    if (typeof value === 'number' || typeof value === 'boolean')
      return new Fault('no string: write it in quotes');
    if (typeof value !== 'string') return NOT_IT;
    if (value.length > options.longest) return new Fault(`${value.length} characters`);
    return options.pattern === undefined || options.pattern.test(value) ? value : NOT_IT;
  })(info);
}

export function flag(info: About) {
  return scalar('boolean', 'true or false', value => (typeof value === 'boolean' ? value : NOT_IT))(info);
}

export function number(
  info: About,
  range: { above?: number; least?: number; most?: number; integer?: boolean },
) {
  const bounds = [
    ...(range.above === undefined ? [] : [`above ${range.above}`]),
    ...(range.least === undefined ? [] : [`at least ${range.least}`]),
    ...(range.most === undefined ? [] : [`at most ${range.most}`]),
  ].join(' and ');
  const kind = range.integer ? 'integer' : 'number';
  return scalar(kind, `${range.integer ? 'a whole number' : 'a number'} ${bounds}`.trim(), value => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return NOT_IT;
    if (range.integer && !Number.isSafeInteger(value)) return NOT_IT;
    if (range.above !== undefined && value <= range.above) return NOT_IT;
    if (range.least !== undefined && value < range.least) return NOT_IT;
    if (range.most !== undefined && value > range.most) return NOT_IT;
    return value;
  })(info);
}

export function duration(info: About, range: { leastMs: number; mostMs: number; says: string }) {
  return scalar('duration', `a duration ${range.says}, such as 250ms, 1s or 5m`, value => {
    if (typeof value === 'number') return new Fault('it has no unit');
    if (typeof value !== 'string') return NOT_IT;
    const ms = parseDuration(value);
    if (ms === undefined) return NOT_IT;
    return ms >= range.leastMs && ms <= range.mostMs ? ms : new Fault('out of range');
  })(info, 'Ms');
}

export function size(info: About, range: { leastOctets: number; mostOctets: number; says: string }) {
  return scalar('size', `a size ${range.says}, such as 64KiB or 1GiB`, value => {
    if (typeof value === 'number' && value !== 0) return new Fault('it has no unit');
    const octets = value === 0 ? 0 : typeof value === 'string' ? parseSize(value) : undefined;
    if (octets === undefined) return NOT_IT;
    return octets >= range.leastOctets && octets <= range.mostOctets ? octets : new Fault('out of range');
  })(info, 'Octets');
}

/** One of the names in a table that says what each is for; names that are planned answer that they are not there yet. */
export function oneOf<K extends string>(
  info: About,
  table: Readonly<Record<K, string>>,
  later: readonly string[] = [],
) {
  const names = Object.keys(table) as K[];
  const expected = names.length === 1 ? `${names[0]}, the only one so far` : names.join(', ');
  return scalar(names.map(name => `\`${name}\``).join(', '), expected, value => {
    const found = names.find(name => name === value);
    if (found !== undefined) return found;
    return later.includes(value as string) ? new Fault('not available in this version') : NOT_IT;
  })(info);
}

/** `host:port`. With `listen`, port 0 takes a free one. */
export function address(info: About, options: { listen?: boolean } = {}) {
  return scalar('address', 'host:port, such as 10.0.0.5:4701 or [::1]:4701', value => {
    if (typeof value !== 'string') return NOT_IT;
    const parsed = parseAddress(value, { anyPort: options.listen === true });
    return typeof parsed === 'string' ? new Fault(parsed) : formatAddress(parsed);
  })(info);
}

/** `host:port`, or `dns:///name:port`. */
export function target(info: About) {
  return scalar('address', 'host:port, such as 10.0.0.5:50051 or [::1]:50051, or dns:///name:port', value => {
    if (typeof value !== 'string') return NOT_IT;
    const name = dnsName(value);
    const parsed = parseAddress(name ?? value);
    if (typeof parsed === 'string') return new Fault(parsed);
    return name === undefined ? formatAddress(parsed) : `${DNS_SCHEME}${formatAddress(parsed)}`;
  })(info);
}

export function cidr(info: About) {
  return scalar('CIDR block', 'a CIDR block such as 10.0.0.0/8 or fd00::/8', value => {
    if (typeof value !== 'string') return NOT_IT;
    const fault = cidrFault(value);
    return fault === undefined ? value : new Fault(fault);
  })(info);
}

export function url(info: About) {
  return scalar('URL', 'a URL such as http://127.0.0.1:4317', value => {
    if (typeof value !== 'string' || !URL.canParse(value)) return NOT_IT;
    return /^https?:$/.test(new URL(value).protocol) ? value : NOT_IT;
  })(info);
}

/** A fully qualified service name, or `*`. */
export function service(info: About, longest: number) {
  return scalar(
    'service name',
    "a fully qualified service name such as echo.v1.EchoService, or '*'",
    value => {
      if (typeof value !== 'string') return NOT_IT;
      if (value.length > longest)
        return new Fault(`${value.length} characters, at most ${longest} are allowed`);
      if (value.includes('/')) return new Fault('a service is named without its method');
      return value === '*' || isServiceName(value) ? value : NOT_IT;
    },
  )(info);
}

/** A key that is kept for later: any value is an error that says so. */
export function reserved(info: Omit<About, 'reserved'>) {
  const type = z.unknown().superRefine((_value, context) => {
    context.addIssue({ code: 'custom', message: 'is not available in this version; remove the key' });
  });
  type.register(keyInfo, { ...info, kind: 'reserved', reserved: true });
  return z.optional(type);
}

/** A list that may be left out. An empty key (`servers:`) is an empty list. */
export function list<T extends z.ZodType>(item: T, info: About, most: number, least = 0) {
  const type = z.array(item).max(most).min(least);
  const wrapped = z.preprocess(value => value ?? [], type);
  wrapped.register(keyInfo, { ...info, kind: 'list' });
  return wrapped;
}

/** A map from names to strings that the user chooses. */
export function labels(info: About, limits: { entries: number; key: number; value: number }) {
  const expected = `at most ${limits.entries} names of at most ${limits.key} characters with strings of at most ${limits.value}`;
  return scalar('map of strings', expected, value => {
    if (value === null) return {};
    if (typeof value !== 'object' || Array.isArray(value)) return NOT_IT;
    const entries = Object.entries(value as Record<string, unknown>);
    if (entries.length > limits.entries) return new Fault(`${entries.length} entries`);
    for (const [name, text] of entries) {
      if (name.length === 0 || name.length > limits.key) return new Fault(`the name '${name.slice(0, 40)}'`);
      if (typeof text !== 'string') return new Fault(`'${name}' is no string: write it in quotes`);
      if (text.length > limits.value) return new Fault(`'${name}' has ${text.length} characters`);
    }
    return Object.fromEntries(entries) as Record<string, string>;
  })(info);
}

/** A map with fixed keys. An empty key (`proxy:`) is a map without keys. */
export function section<S extends z.ZodRawShape>(about: string, shape: S) {
  const type = z.preprocess(value => value ?? {}, z.strictObject(shape));
  type.register(keyInfo, { about, kind: 'map' });
  return type;
}
