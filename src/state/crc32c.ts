/**
 * CRC-32C (Castagnoli, reversed polynomial 0x82F63B78; RFC 3720, appendix B.4), eight octets a step by
 * eight tables (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-Based
 * CRC Generators", 2005). Node's own `zlib.crc32` is another polynomial, and slower for short pieces.
 */
const POLYNOMIAL = 0x82f63b78;

const TABLES: readonly Int32Array[] = makeTables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

function makeTables(): Int32Array[] {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  const [first] = tables as [Int32Array];
  for (let octet = 0; octet < 256; octet++) {
    let crc = octet;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    first[octet] = crc;
  }
  for (let octet = 0; octet < 256; octet++) {
    let crc = first[octet] as number;
    for (const table of tables.slice(1)) {
      crc = (crc >>> 8) ^ (first[crc & 0xff] as number);
      table[octet] = crc;
    }
  }
  return tables;
}

/**
 * The checksum of `bytes` from `start` to `end`, continued from that of what came before (0: nothing), as
 * an unsigned number.
 */
export function crc32c(before: number, bytes: Uint8Array, start: number, end: number): number {
  let crc = ~before;
  let i = start;
  for (const last = end - 7; i < last; i += 8) {
    crc ^=
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    crc =
      (T7[crc & 0xff] as number) ^
      (T6[(crc >>> 8) & 0xff] as number) ^
      (T5[(crc >>> 16) & 0xff] as number) ^
      (T4[crc >>> 24] as number) ^
      (T3[bytes[i + 4] as number] as number) ^
      (T2[bytes[i + 5] as number] as number) ^
      (T1[bytes[i + 6] as number] as number) ^
      (T0[bytes[i + 7] as number] as number);
  }
  for (; i < end; i++) crc = (T0[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}
