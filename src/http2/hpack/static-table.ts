/** HPACK's static table (RFC 7541 appendix A), and names that know their place in it. */
import { Field } from './fields.ts';
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

/** The static table as fields, as the decoder hands them out. Index 0 is unused. */
export class StaticTable {
  readonly fields: readonly Field[];

  constructor(names: HeaderNames) {
    const byName = new Map<string, HeaderName>();
    this.fields = [['', ''] as const, ...ENTRIES].map(([text, value], index) => {
      const name = byName.get(text) ?? names.named(text);
      byName.set(text, name);
      const octets = Buffer.from(value, 'latin1');
      return new Field(
        name,
        octets,
        0,
        octets.length,
        0,
        index,
        hashOf(octets, 0, octets.length, name.hash),
        -1,
      );
    });
  }

  /** The field whose name and value are both in the table. */
  find(name: HeaderName, value: Buffer, start: number, end: number): Field | undefined {
    for (let i = name.staticIndex; i !== 0 && i <= STATIC_ENTRIES; i++) {
      const field = this.fields[i] as Field;
      if (field.name.text !== name.text) return undefined;
      if (field.buffer.compare(value, start, end) === 0) return field;
    }
    return undefined;
  }
}
