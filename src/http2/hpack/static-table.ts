/** HPACK's static table (RFC 7541 appendix A), and names that know their place in it. */
import { type Classify, type HeaderName, HeaderNames, hashOf } from './names.ts';

/** Name and value, from index 1 on. */
const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

/** Entries of the static table; dynamic indices begin above. */
export const STATIC_ENTRIES = ENTRIES.length;

const FIRST_INDEX = new Map<string, number>();
for (const [i, [name]] of ENTRIES.entries()) if (!FIRST_INDEX.has(name)) FIRST_INDEX.set(name, i + 1);

/** Makes the memory of names that all connections of a process share. */
export function headerNames(classify: Classify = () => 0): HeaderNames {
  return new HeaderNames(classify, name => FIRST_INDEX.get(name) ?? 0);
}

/** The static table with its values as octets, as the decoder hands them out. Index 0 is unused. */
export class StaticTable {
  readonly names: readonly HeaderName[];
  /** All values behind one another; entry i has `ends[i - 1]` to `ends[i]`. */
  readonly values: Buffer;
  readonly ends: Uint16Array;
  /** Hash of each field, as the dynamic table computes it. */
  readonly hashes: Int32Array;

  constructor(names: HeaderNames) {
    const byName = new Map<string, HeaderName>();
    const objects: HeaderName[] = [names.named('')];
    this.ends = new Uint16Array(STATIC_ENTRIES + 1);
    this.hashes = new Int32Array(STATIC_ENTRIES + 1);
    this.values = Buffer.from(ENTRIES.map(([, value]) => value).join(''), 'latin1');
    for (const [i, [text, value]] of ENTRIES.entries()) {
      const name = byName.get(text) ?? names.named(text);
      byName.set(text, name);
      objects.push(name);
      const start = this.ends[i] as number;
      this.ends[i + 1] = start + value.length;
      this.hashes[i + 1] = hashOf(this.values, start, start + value.length, name.hash);
    }
    this.names = objects;
  }

  /** The index of a field whose name and value are both in the table, 0 where there is none. */
  find(name: HeaderName, value: Uint8Array, start: number, end: number): number {
    for (let i = name.staticIndex; i !== 0 && i <= STATIC_ENTRIES && this.names[i]?.text === name.text; i++) {
      const from = this.ends[i - 1] as number;
      if ((this.ends[i] as number) - from !== end - start) continue;
      let at = 0;
      while (at < end - start && this.values[from + at] === value[start + at]) at++;
      if (at === end - start) return i;
    }
    return 0;
  }
}
