/**
 * Header blocks of calls as gRPC libraries send them: what is the same on every call goes into HPACK's
 * dynamic table with the first, and is a byte after that; what differs is sent as it is, Huffman-coded.
 */
import { huffman, integer } from '../../support/h2/hpack.ts';

export interface BlockOptions {
  readonly path: string;
  readonly authority: string;
  /** Metadata entries that are the same on every call. */
  readonly constant: number;
  /** Metadata entries whose values differ on every call, beside `traceparent` and `grpc-timeout`. */
  readonly varying: number;
  /** Whether `traceparent` and `grpc-timeout` are there. */
  readonly traced: boolean;
  /** Share of the traced calls whose `traceparent` says `sampled`. */
  readonly sampled: number;
}

/** So many calls have each their own values; then they begin again. */
const DISTINCT = 1 << 14;
/** First index of the dynamic table (RFC 7541, 2.3.3). */
const DYNAMIC = 62;

const text = (value: string): Buffer => {
  const coded = huffman(value);
  return Buffer.concat([Buffer.from(integer(coded.length, 7, 0x80)), coded]);
};

/** With incremental indexing (6.2.1); `nameAt` is an index of the static table, or 0 with a name. */
const indexed = (nameAt: number, name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from(integer(nameAt, 6, 0x40)), ...(nameAt === 0 ? [text(name)] : []), text(value)]);

/** The blocks of one connection's calls, in order. */
export class Blocks {
  readonly first: Buffer;
  /** The part that never differs. */
  readonly #constant: Buffer;
  /** For each field that differs: its name by index, and the values in turn. */
  readonly #varying: { name: Buffer; values: Buffer[] }[] = [];

  constructor({ path, authority, constant, varying, traced, sampled }: BlockOptions) {
    const same: Buffer[] = [
      indexed(4, '', path),
      indexed(1, '', authority),
      indexed(31, '', 'application/grpc'),
      indexed(0, 'te', 'trailers'),
      indexed(58, '', 'grpc-bench/1.0'),
    ];
    for (let n = 0; n < constant; n++) same.push(indexed(0, `x-meta-${n}`, `a constant value ${n * 7919}`));
    const names: [name: string, value: (n: number) => string][] = [];
    if (traced)
      names.push(['traceparent', n => traceparent(n, sampled)], ['grpc-timeout', n => `${1_000_000 + n}u`]);
    for (let v = 0; v < varying; v++) {
      names.push([`x-id-${v}`, n => `${v}-${(Math.imul(n + v, 0x9e3779b1) >>> 0).toString(16)}-${n}`]);
    }
    const pseudo = Buffer.from([0x80 | 3, 0x80 | 6]);
    const different = names.map(([name, value]) => indexed(0, name, value(DISTINCT)));
    this.first = Buffer.concat([pseudo, ...same, ...different]);
    const entries = same.length + different.length;
    // The entry that was inserted last has the first index.
    const at = (entry: number): number => DYNAMIC + entries - 1 - entry;
    this.#constant = Buffer.concat([
      pseudo,
      Buffer.from(same.flatMap((_, entry) => integer(at(entry), 7, 0x80))),
    ]);
    for (const [index, [, value]] of names.entries()) {
      this.#varying.push({
        name: Buffer.from(integer(at(same.length + index), 4)),
        values: Array.from({ length: DISTINCT }, (_, n) => text(value(n))),
      });
    }
  }

  /** Writes the block of call `n` (not the first of its connection) into `out`; returns where it ends. */
  write(out: Buffer, start: number, n: number): number {
    let at = start + this.#constant.copy(out, start);
    for (const { name, values } of this.#varying) {
      at += name.copy(out, at);
      at += (values[n % DISTINCT] as Buffer).copy(out, at);
    }
    return at;
  }
}

function traceparent(n: number, sampled: number): string {
  const high = (Math.imul(n, 0x85ebca6b) >>> 0).toString(16).padStart(8, '0');
  const low = (Math.imul(n ^ 0x5bd1e995, 0xc2b2ae35) >>> 0).toString(16).padStart(8, '0');
  return `00-4bf92f35${high}a3ce929d${low}-${low}${high}-0${n % 100 < 100 * sampled ? 1 : 0}`;
}
