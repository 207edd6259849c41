/**
 * Field names as objects: what is to be known of a name is found out once, not once a field.
 */
import { HTTP2_LIMITS } from '../../core/limits.ts';
import { literalOf } from './strings.ts';

/**
 * Kinds of names that the engine looks at. Kinds from `FIRST_FREE` up to `KINDS - 1` belong to the engine's
 * user, who gives them to names by a `classify` function.
 */
export const NameKind = {
  OTHER: 0,
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 3,
  PATH: 4,
  STATUS: 5,
  /** Begins with a colon and is none of the above. */
  UNKNOWN_PSEUDO: 6,
  /** `connection` and the others that RFC 9113 8.2.2 forbids. */
  CONNECTION: 7,
  TE: 8,
  HOST: 9,
  CONTENT_LENGTH: 10,
  CONTENT_TYPE: 11,
  FIRST_FREE: 16,
} as const;

/** How many kinds there are; a header list remembers where it holds the first field of each. */
export const KINDS = 48;

const OWN_KINDS: ReadonlyMap<string, number> = new Map([
  [':method', NameKind.METHOD],
  [':scheme', NameKind.SCHEME],
  [':authority', NameKind.AUTHORITY],
  [':path', NameKind.PATH],
  [':status', NameKind.STATUS],
  ['connection', NameKind.CONNECTION],
  ['proxy-connection', NameKind.CONNECTION],
  ['keep-alive', NameKind.CONNECTION],
  ['transfer-encoding', NameKind.CONNECTION],
  ['upgrade', NameKind.CONNECTION],
  ['te', NameKind.TE],
  ['host', NameKind.HOST],
  ['content-length', NameKind.CONTENT_LENGTH],
  ['content-type', NameKind.CONTENT_TYPE],
]);

/** RFC 9113 8.2.1: octets that a field name MUST NOT contain: 0x00-0x20, 0x41-0x5a, 0x7f-0xff. */
const FORBIDDEN = new Uint8Array(256);
FORBIDDEN.fill(1, 0x00, 0x21);
FORBIDDEN.fill(1, 0x41, 0x5b);
FORBIDDEN.fill(1, 0x7f, 0x100);

/** One field name. */
export class HeaderName {
  readonly text: string;
  /** Octets, which is what the size of a field counts. */
  readonly length: number;
  /** The name as a string literal of HPACK, not Huffman coded. */
  readonly literal: Buffer;
  /** See `NameKind`. */
  readonly kind: number;
  /** False where RFC 9113 8.2.1 makes a message with this name malformed. */
  readonly valid: boolean;
  /** Lowest index of this name in HPACK's static table; 0 where it is not there. */
  readonly staticIndex: number;
  /** Mixed into the hash of a field. */
  readonly hash: number;

  constructor(text: string, kind: number, staticIndex: number) {
    const bytes = Buffer.from(text, 'latin1');
    this.text = text;
    this.length = bytes.length;
    this.literal = literalOf(bytes);
    const pseudo = text.startsWith(':');
    this.kind = OWN_KINDS.get(text) ?? (pseudo ? NameKind.UNKNOWN_PSEUDO : kind);
    this.valid = isName(bytes, pseudo ? 1 : 0);
    this.staticIndex = staticIndex;
    this.hash = hashOf(bytes, 0, bytes.length, 0);
  }
}

// RFC 9113 8.2.1: "With the exception of pseudo-header fields, which have a name that starts with a single
// colon, field names MUST NOT include a colon."
function isName(bytes: Buffer, start: number): boolean {
  for (let i = start; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (FORBIDDEN[byte] === 1 || byte === 0x3a) return false;
  }
  return bytes.length > start;
}

/** A hash of octets, never 0. For look-ups whose hits are compared in full: it is not hard to make collisions. */
export function hashOf(buffer: Uint8Array, start: number, end: number, seed: number): number {
  let hash = (seed ^ (end - start)) | 0;
  for (let i = start; i < end; i++)
    hash = Math.imul(hash ^ (buffer[i] as number), 0x01000193) ^ (hash >>> 15);
  return hash === 0 ? 1 : hash;
}

/** Gives a kind to a name that the engine does not know: `NameKind.FIRST_FREE` to `KINDS - 1`, else 0. */
export type Classify = (name: string) => number;

/**
 * Names that were seen, so that a name is made into an object once.
 *
 * Direct-mapped and of a fixed size: names that a peer makes up push others out, which costs time and no
 * memory. So two objects may stand for one name; compare `kind` or `text`.
 */
export class HeaderNames {
  readonly #slots: (HeaderName | undefined)[] = new Array(HTTP2_LIMITS.namesRemembered).fill(undefined);
  readonly #classify: Classify;
  readonly #staticIndexOf: (name: string) => number;

  constructor(classify: Classify, staticIndexOf: (name: string) => number) {
    this.#classify = classify;
    this.#staticIndexOf = staticIndexOf;
  }

  /** The name written as these octets. */
  of(buffer: Buffer, start: number, end: number): HeaderName {
    const hash = hashOf(buffer, start, end, 0);
    const slot = hash & (HTTP2_LIMITS.namesRemembered - 1);
    const known = this.#slots[slot];
    if (known !== undefined && known.hash === hash && this.#same(known, buffer, start, end)) return known;
    const name = this.#make(buffer.toString('latin1', start, end));
    if (name.length <= HTTP2_LIMITS.nameBytesRemembered) this.#slots[slot] = name;
    return name;
  }

  /** A name for use in our own messages. Meant for constants: keep what it returns. */
  named(text: string): HeaderName {
    return this.#make(text);
  }

  #make(text: string): HeaderName {
    return new HeaderName(text, this.#classify(text), this.#staticIndexOf(text));
  }

  #same(name: HeaderName, buffer: Buffer, start: number, end: number): boolean {
    const length = name.length;
    if (end - start !== length) return false;
    const literal = name.literal;
    const offset = literal.length - length;
    for (let i = 0; i < length; i++) if (literal[offset + i] !== buffer[start + i]) return false;
    return true;
  }
}
