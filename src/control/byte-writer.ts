/** Protobuf fields into a buffer that grows; for messages that are put together from parts that are kept. */
export class ByteWriter {
  length = 0;
  private bytes: Buffer;

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafe(capacity);
  }

  /** A copy of what was written. */
  copy(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length));
  }

  reset(): void {
    this.length = 0;
  }

  raw(part: Uint8Array): void {
    this.reserve(part.length);
    this.bytes.set(part, this.length);
    this.length += part.length;
  }

  /** `tag` is the field's key, below 0x80, with wire type 0. */
  varint(tag: number, value: number): void {
    this.reserve(11);
    this.bytes[this.length++] = tag;
    this.rawVarint(value);
  }

  /** `tag` with wire type 1. */
  double(tag: number, value: number): void {
    this.reserve(9);
    this.bytes[this.length++] = tag;
    this.length = this.bytes.writeDoubleLE(value, this.length);
  }

  /** `tag` with wire type 2. */
  delimited(tag: number, part: Uint8Array): void {
    this.reserve(11);
    this.bytes[this.length++] = tag;
    this.rawVarint(part.length);
    this.raw(part);
  }

  /** A `google.protobuf.Duration` of `ms` >= 0. */
  duration(tag: number, ms: number): void {
    this.reserve(24);
    const start = this.length;
    this.length += 2;
    const seconds = Math.floor(ms / 1000);
    const nanos = Math.min(999_999_999, Math.round((ms - seconds * 1000) * 1e6));
    if (seconds > 0) this.varint(0x08, seconds);
    if (nanos > 0) this.varint(0x10, nanos);
    this.bytes[start] = tag;
    this.bytes[start + 1] = this.length - start - 2;
  }

  /** Opens a submessage of less than 2²¹ bytes; `end` writes its length. */
  begin(tag: number): number {
    this.reserve(4);
    this.bytes[this.length] = tag;
    this.length += 4;
    return this.length;
  }

  /** Closes what `begin` opened. The length takes three bytes, as a varint may, so that nothing moves. */
  end(start: number): void {
    const size = this.length - start;
    this.bytes[start - 3] = (size & 0x7f) | 0x80;
    this.bytes[start - 2] = ((size >>> 7) & 0x7f) | 0x80;
    this.bytes[start - 1] = size >>> 14;
  }

  /** Non-negative whole numbers below 2⁵³. */
  private rawVarint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.length++] = rest;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const wider = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.length + more));
    wider.set(this.bytes.subarray(0, this.length));
    this.bytes = wider;
  }
}
