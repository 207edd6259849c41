/**
 * HPACK again, as plainly as it can be written: strings, arrays, no limits. What the engine does is compared with
 * this. It encodes with whatever representation a generator picks, so that every one of them is met.
 */
import { encodeHuffman, huffmanBytes } from '../../src/http2/hpack/huffman.ts';
import { headerNames, STATIC_ENTRIES, StaticTable } from '../../src/http2/hpack/static-table.ts';

export type Field = [name: string, value: string];

const statics = new StaticTable(headerNames());
const STATIC: Field[] = Array.from({ length: STATIC_ENTRIES }, (_, i) => [
  statics.fields[i + 1]?.name.text ?? '',
  statics.fields[i + 1]?.buffer.toString('latin1') ?? '',
]);

const sizeOf = ([name, value]: Field): number => name.length + value.length + 32;

class ModelTable {
  entries: Field[] = [];
  max: number;
  constructor(max: number) {
    this.max = max;
  }
  get all(): Field[] {
    return [...STATIC, ...this.entries];
  }
  insert(field: Field): void {
    this.entries.unshift(field);
    this.trim();
  }
  trim(): void {
    while (this.entries.reduce((sum, each) => sum + sizeOf(each), 0) > this.max) this.entries.pop();
  }
}

function integer(pattern: number, prefixBits: number, value: number): Buffer {
  const max = 2 ** prefixBits - 1;
  if (value < max) return Buffer.from([pattern | value]);
  const out = [pattern | max];
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return Buffer.from([...out, rest]);
}

function string(text: string, coded: boolean): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (!coded) return Buffer.concat([integer(0, 7, bytes.length), bytes]);
  const out = Buffer.alloc(huffmanBytes(bytes, 0, bytes.length));
  encodeHuffman(bytes, 0, bytes.length, out, 0);
  return Buffer.concat([integer(0x80, 7, out.length), out]);
}

export class ModelEncoder {
  readonly table: ModelTable;
  readonly #random: () => number;
  constructor(random: () => number, max = 4096) {
    this.#random = random;
    this.table = new ModelTable(max);
  }
  resize(max: number): Buffer {
    this.table.max = max;
    this.table.trim();
    return integer(0x20, 5, max);
  }
  encode(fields: readonly Field[]): Buffer {
    return Buffer.concat(fields.map(field => this.#field(field)));
  }
  #field(field: Field): Buffer {
    const coded = () => this.#random() < 0.5;
    const all = this.table.all;
    const whole = all.findIndex(([name, value]) => name === field[0] && value === field[1]);
    const pick = this.#random();
    if (whole >= 0 && pick < 0.6) return integer(0x80, 7, whole + 1);
    const named = this.#random() < 0.8 ? all.findIndex(([name]) => name === field[0]) + 1 : 0;
    const [pattern, bits] = pick < 0.75 ? [0x40, 6] : pick < 0.9 ? [0x00, 4] : [0x10, 4];
    const head = integer(pattern, bits, named);
    if (pattern === 0x40) this.table.insert(field);
    return Buffer.concat([
      head,
      ...(named === 0 ? [string(field[0], coded())] : []),
      string(field[1], coded()),
    ]);
  }
}
