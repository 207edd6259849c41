/**
 * HPACK (RFC 7541) for tests and load: apart from the proxy's own, so that a fault there does not hide
 * itself. It encodes literals that are never put into a table, and decodes everything.
 */

export type Field = readonly [name: string, value: string];

/** Bits of the code of each byte and of EOS; the codes follow, since the code is canonical (Appendix B). */
const CODE_BITS = `
  13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
  6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
  13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
  15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
  20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
  22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
  26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
  20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
  30`
  .trim()
  .split(/\s+/)
  .map(Number);

/** Binary tree in an array: node n has children at 2n and 2n+1; below -1 a symbol s as -2 - s. */
const TREE = huffmanTree();

/** In the order of the codes: by length, then by symbol. */
function huffmanCodes(): { symbol: number; bits: number; code: number }[] {
  let code = 0;
  let before = 0;
  return CODE_BITS.map((bits, symbol) => ({ bits, symbol }))
    .sort((a, b) => a.bits - b.bits || a.symbol - b.symbol)
    .map(({ bits, symbol }) => {
      code = before === 0 ? 0 : (code + 1) * 2 ** (bits - before);
      before = bits;
      return { symbol, bits, code };
    });
}

function huffmanTree(): Int32Array {
  const tree = new Int32Array(1024).fill(-1);
  let nodes = 1;
  for (const { bits, symbol, code } of huffmanCodes()) {
    let node = 0;
    for (let bit = bits - 1; bit >= 0; bit--) {
      const at = 2 * node + (Math.floor(code / 2 ** bit) & 1);
      if (bit === 0) tree[at] = -2 - symbol;
      else {
        if (tree[at] === -1) tree[at] = nodes++;
        node = tree[at] as number;
      }
    }
  }
  return tree;
}

function fromHuffman(bytes: Buffer): string {
  const out: number[] = [];
  let node = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const next = TREE[2 * node + ((byte >> bit) & 1)] as number;
      if (next <= -2) {
        out.push(-2 - next);
        node = 0;
      } else node = next;
    }
  }
  return Buffer.from(out).toString('latin1');
}

/** Appendix A; a name alone, or name and value. */
const STATIC: readonly Field[] = `:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|
:scheme https|:status 200|:status 204|:status 206|:status 304|:status 400|:status 404|:status 500|
accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|accept|
access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|
content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect|
expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|
link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|
server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`
  .split(/\|\n?/)
  .map(entry => {
    const space = entry.indexOf(' ');
    return space === -1 ? [entry, ''] : [entry.slice(0, space), entry.slice(space + 1)];
  });

/** The decoder of one connection. */
export class Decoder {
  #dynamic: Field[] = [];
  #size = 0;
  #most = 4096;

  /** Throws a RangeError for a block that is none. */
  decode(block: Buffer): Field[] {
    const fields: Field[] = [];
    let at = 0;
    const integer = (prefix: number): number => {
      const mask = 2 ** prefix - 1;
      let value = byte() & mask;
      if (value < mask) return value;
      for (let shift = 0; ; shift += 7) {
        const next = byte();
        value += (next & 127) * 2 ** shift;
        if (next < 128) return value;
      }
    };
    const byte = (): number => {
      if (at >= block.length) throw new RangeError('header block ends within a field');
      return block[at++] as number;
    };
    const text = (): string => {
      const coded = ((block[at] ?? 0) & 128) !== 0;
      const length = integer(7);
      const bytes = block.subarray(at, at + length);
      if (bytes.length !== length) throw new RangeError('header block ends within a string');
      at += length;
      return coded ? fromHuffman(bytes) : bytes.toString('latin1');
    };
    while (at < block.length) {
      const first = block[at] as number;
      if ((first & 0x80) !== 0) fields.push(this.#at(integer(7)));
      else if ((first & 0xe0) === 0x20) {
        this.#most = integer(5);
        this.#evict();
      } else {
        const indexed = (first & 0xc0) === 0x40;
        const index = integer(indexed ? 6 : 4);
        const name = index === 0 ? text() : this.#at(index)[0];
        const field: Field = [name, text()];
        fields.push(field);
        if (indexed) this.#insert(field);
      }
    }
    return fields;
  }

  #at(index: number): Field {
    const field = index <= STATIC.length ? STATIC[index - 1] : this.#dynamic[index - STATIC.length - 1];
    if (field === undefined) throw new RangeError(`header block has index ${index}, which nothing has`);
    return field;
  }

  #insert(field: Field): void {
    this.#dynamic.unshift(field);
    this.#size += field[0].length + field[1].length + 32;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#most) {
      const [name, value] = this.#dynamic.pop() as Field;
      this.#size -= name.length + value.length + 32;
    }
  }
}

/** An integer with a prefix of `bits` (5.1); `first` holds the bits above it. */
export function integer(value: number, bits: number, first = 0): number[] {
  const mask = 2 ** bits - 1;
  if (value < mask) return [first | value];
  const bytes = [first | mask];
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return bytes;
}

const CODES = huffmanCodes().sort((a, b) => a.symbol - b.symbol);

/** A string as Huffman codes, filled up with ones (5.2); its length is for the caller to write. */
export function huffman(value: string): Buffer {
  const out = Buffer.allocUnsafe(4 * value.length);
  let used = 0;
  // Up to 7 bits that are left over and 30 of a code: a number holds 53.
  let held = 0;
  let heldBits = 0;
  for (let at = 0; at < value.length; at++) {
    const { bits, code } = CODES[value.charCodeAt(at) & 255] as { bits: number; code: number };
    held = held * 2 ** bits + code;
    heldBits += bits;
    while (heldBits >= 8) {
      heldBits -= 8;
      const octet = Math.floor(held / 2 ** heldBits);
      out[used++] = octet;
      held -= octet * 2 ** heldBits;
    }
  }
  if (heldBits > 0) out[used++] = (held << (8 - heldBits)) | (0xff >> heldBits);
  return Buffer.from(out.subarray(0, used));
}

/** A literal without indexing, its name a literal too (6.2.2). */
export function literal([name, value]: Field): Buffer {
  const names = Buffer.from(name, 'latin1');
  const values = Buffer.from(value, 'latin1');
  return Buffer.concat([
    Buffer.from([0, ...integer(names.length, 7)]),
    names,
    Buffer.from(integer(values.length, 7)),
    values,
  ]);
}

export function encode(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(literal));
}
