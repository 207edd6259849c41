/**
 * The fields of an entry as places in its message (codec.ts has the grammar), for the kinds that `quick-fold.ts`
 * folds. What is longer, rarer or otherwise than it mostly is, is left to the codec.
 */
import { CAUSE_OCTETS } from './server-rows.ts';

export const QuickKind = {
  CLAIM: 1,
  /** An unclaim, by how. */
  LEFT: 2,
  LOST: 3,
  FORGET: 4,
  DRAIN: 6,
  DRAINED: 8,
  OBSERVE: 11,
} as const;

/** Numbers of the format: bodies, the precondition `address`, and places in the tables of spec-codec.ts. */
const UNCLAIM = 3;
const ADDRESS = 2;
const STREAM = 2;
const BY_BACKEND = 2;
const THEN_REMOVE = 2;
const WIDE = 255;
const MORE = 0x80;
/** Octets of a number that goes beyond one octet but not beyond what is counted here. */
const COUNT_OCTETS = 7;

export class QuickEntry {
  /** Octets of the instance whose entries these are; empty: none is read. */
  origin: Uint8Array = new Uint8Array(0);

  bytes: Buffer = Buffer.alloc(0);
  kind: number = QuickKind.CLAIM;
  causeAt = 0;
  causeOctets = 0;
  idAt = 0;
  idOctets = 0;
  /** Of a claim. */
  specAt = 0;
  specOctets = 0;
  addressAt = 0;
  addressOctets = 0;
  /** The address that its precondition names; −1: it has none. */
  wantedAt = -1;
  wantedOctets = 0;
  /** Of an observation: its phase from 1, and 4 and 8 for its flags. */
  seen = 0;
  /** Of a drain. */
  timeoutMs = 0;

  #at = 0;
  #end = 0;
  #timeAt = 0;
  #preconditionIdAt = 0;
  #preconditionIdOctets = 0;

  /** Read where it is wanted: most entries change nothing that has a time. */
  get time(): number {
    return this.bytes.readDoubleLE(this.#timeAt);
  }

  /** False: it is one for the codec and the fold. */
  read(bytes: Buffer, start: number, end: number): boolean {
    const { origin } = this;
    let at = start + 1;
    if (origin.length === 0 || bytes[at++] !== origin.length) return false;
    for (let i = 0; i < origin.length; i++) if (bytes[at++] !== origin[i]) return false;
    this.bytes = bytes;
    this.#at = at;
    this.#end = end;
    if (!this.#skipCount() || !this.#skipCount()) return false;
    at = this.#at;
    // What follows has 12 octets at least: time, cause, preconditions, kind, flags, content.
    if (at + 12 > end) return false;
    const causeOctets = bytes[at + 8] as number;
    if (causeOctets > CAUSE_OCTETS) return false;
    this.#timeAt = at;
    this.causeAt = at + 9;
    this.causeOctets = causeOctets;
    this.#at = at + 9 + causeOctets;
    return this.#preconditions() && this.#body();
  }

  #preconditions(): boolean {
    const { bytes } = this;
    const count = bytes[this.#at++];
    this.wantedAt = -1;
    if (count === 0) return true;
    if (count !== 1 || bytes[this.#at++] !== ADDRESS) return false;
    const octets = bytes[this.#at++] as number;
    const behind = this.#at + octets;
    if (octets >= MORE || behind > this.#end) return false;
    this.#preconditionIdOctets = bytes[this.#at++] as number;
    this.#preconditionIdAt = this.#at;
    this.#at += this.#preconditionIdOctets;
    if (this.#at >= behind) return false;
    this.wantedOctets = bytes[this.#at++] as number;
    this.wantedAt = this.#at;
    if (this.#at + this.wantedOctets > behind) return false;
    this.#at = behind;
    return true;
  }

  #body(): boolean {
    const { bytes } = this;
    const end = this.#end;
    const kind = bytes[this.#at] as number;
    let octets = bytes[this.#at + 2] as number;
    this.#at += 3;
    if (octets >= MORE) {
      const high = bytes[this.#at++] as number;
      if (high >= MORE) return false;
      octets = (octets & 0x7f) | (high << 7);
    }
    if (this.#at + octets > end) return false;
    this.#end = this.#at + octets;
    if (kind === QuickKind.CLAIM) return this.#claim();
    if (this.wantedAt >= 0) return false;
    this.kind = kind;
    switch (kind) {
      case QuickKind.OBSERVE:
        return this.#id() && this.#observation();
      case UNCLAIM:
        if (bytes[this.#at++] !== STREAM || !this.#id() || this.#at >= this.#end) return false;
        this.kind = bytes[this.#at] === 0 ? QuickKind.LEFT : QuickKind.LOST;
        return true;
      case QuickKind.DRAIN:
        return this.#id() && this.#drain();
      case QuickKind.FORGET:
      case QuickKind.DRAINED:
        return this.#id();
      default:
        return false;
    }
  }

  #observation(): boolean {
    const { bytes } = this;
    if (this.#at + 2 > this.#end) return false;
    const phase = bytes[this.#at] as number;
    const flags = bytes[this.#at + 1] as number;
    this.seen = phase | ((flags & 3) << 2);
    return phase >= 1 && phase <= 3;
  }

  #drain(): boolean {
    const { bytes } = this;
    if (this.#at + 3 > this.#end || bytes[this.#at++] !== BY_BACKEND) return false;
    const short = bytes[this.#at++] as number;
    this.timeoutMs = short;
    if (short === WIDE) {
      if (this.#at + 9 > this.#end) return false;
      this.timeoutMs = bytes.readDoubleLE(this.#at);
      this.#at += 8;
    }
    return bytes[this.#at] === THEN_REMOVE;
  }

  #claim(): boolean {
    const { bytes } = this;
    this.kind = QuickKind.CLAIM;
    if (bytes[this.#at++] !== STREAM) return false;
    this.specAt = this.#at;
    if (!this.#id()) return false;
    if (this.wantedAt >= 0 && !this.#isOwn()) return false;
    this.addressOctets = bytes[this.#at] as number;
    this.addressAt = this.#at + 1;
    if (!this.#skipText() || !this.#skipTexts(1) || !this.#skipNumber()) return false;
    if (!this.#skipText() || !this.#skipTexts(2) || !this.#skipNumber()) return false;
    // A standby waits; who waits is none of these.
    if (this.#at >= this.#end || bytes[this.#at++] !== 0) return false;
    this.specOctets = this.#at - this.specAt;
    return true;
  }

  /** Whether the precondition is on the server that is claimed. */
  #isOwn(): boolean {
    const { bytes, idAt, idOctets } = this;
    if (idOctets !== this.#preconditionIdOctets) return false;
    for (let i = 0; i < idOctets; i++)
      if (bytes[idAt + i] !== bytes[this.#preconditionIdAt + i]) return false;
    return true;
  }

  #id(): boolean {
    this.idOctets = this.bytes[this.#at] as number;
    this.idAt = this.#at + 1;
    return this.#skipText();
  }

  #skipText(): boolean {
    if (this.#at >= this.#end) return false;
    const octets = this.bytes[this.#at] as number;
    this.#at += 1 + octets;
    return octets < MORE && this.#at <= this.#end;
  }

  /** A list, of so many texts each. */
  #skipTexts(each: number): boolean {
    if (this.#at >= this.#end) return false;
    const count = this.bytes[this.#at++] as number;
    if (count >= MORE) return false;
    for (let left = count * each; left > 0; left--) if (!this.#skipText()) return false;
    return true;
  }

  #skipNumber(): boolean {
    if (this.#at >= this.#end) return false;
    if (this.bytes[this.#at++] !== WIDE) return true;
    if (this.#at + 8 > this.#end) return false;
    const value = this.bytes.readDoubleLE(this.#at);
    this.#at += 8;
    // What equals nothing is no repetition, though its octets be the same.
    return !Number.isNaN(value);
  }

  #skipCount(): boolean {
    const { bytes } = this;
    for (let left = COUNT_OCTETS; left > 0; left--) {
      if (this.#at >= this.#end) return false;
      if ((bytes[this.#at++] as number) < MORE) return true;
    }
    return false;
  }
}
