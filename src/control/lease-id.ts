/**
 * Lease ids as callers see them: opaque, not guessable, naming the instance and its life.
 *
 *   id      = base64url(life secret)              40 characters
 *   life    = instance (6 bytes) epoch (6 bytes)  the same in every id of one life of an instance
 *   secret  = handle (4 bytes) random (14 bytes)  112 random bits: nobody ends another's lease
 *
 * A row of the lease table keeps the random part of its present lease, so that checking an id costs a
 * look and four comparisons.
 */
import { createHash, randomFillSync } from 'node:crypto';
import type { LeaseTable } from '../core/lease.ts';

export const LEASE_ID_LENGTH = 40;
const LIFE_LENGTH = 16;
const INSTANCE_LENGTH = 8;
const SECRET_BYTES = 18;
/** 16-bit words of the random part. */
const WORDS = 7;
/** Random words are drawn this many at a time: one system call for 1,170 leases. */
const POOL_WORDS = 8192;

/** Why an id names no open lease of this instance. */
export const NoLease = {
  /** Never issued, expired, already completed, or of a former life of this instance. */
  UNKNOWN: -1,
  /** Issued by another instance. */
  FOREIGN: -2,
} as const;

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', 'latin1');
const WELL_FORMED = /^[A-Za-z0-9_-]{40}$/;

export class LeaseIds {
  private readonly leases: LeaseTable;
  private readonly life: string;
  private readonly lifeBytes: Buffer;
  private readonly pool = new Uint16Array(POOL_WORDS);
  private drawn = POOL_WORDS;
  private secrets = new Uint16Array(0);
  private readonly scratch = Buffer.alloc(SECRET_BYTES);

  constructor(instanceId: string, epoch: number, leases: LeaseTable) {
    this.leases = leases;
    const life = Buffer.alloc(12);
    createHash('sha256').update(instanceId).digest().copy(life, 0, 0, 6);
    life.writeUIntBE(epoch % 2 ** 48, 6, 6);
    this.life = life.toString('base64url');
    this.lifeBytes = Buffer.from(this.life, 'latin1');
  }

  /** Gives an open lease its id and writes that into `target`. */
  issue(lease: number, target: Uint8Array, at: number): void {
    const row = this.leases.rowOf(lease);
    if (row * WORDS >= this.secrets.length) this.grow(row);
    if (this.drawn + WORDS > POOL_WORDS) {
      randomFillSync(this.pool);
      this.drawn = 0;
    }
    const scratch = this.scratch;
    scratch[0] = lease >>> 24;
    scratch[1] = lease >>> 16;
    scratch[2] = lease >>> 8;
    scratch[3] = lease;
    for (let i = 0; i < WORDS; i++) {
      const word = this.pool[this.drawn + i] as number;
      this.secrets[row * WORDS + i] = word;
      scratch[4 + 2 * i] = word >>> 8;
      scratch[5 + 2 * i] = word;
    }
    // What has been handed out must not stay readable in the pool.
    this.pool.fill(0, this.drawn, this.drawn + WORDS);
    this.drawn += WORDS;
    target.set(this.lifeBytes, at);
    encode(scratch, target, at + LIFE_LENGTH);
  }

  /** The handle of an open lease, or `NoLease`. */
  find(id: string): number {
    if (!WELL_FORMED.test(id)) return NoLease.UNKNOWN;
    if (!id.startsWith(this.life)) {
      const instance = this.life.slice(0, INSTANCE_LENGTH);
      return id.startsWith(instance) ? NoLease.UNKNOWN : NoLease.FOREIGN;
    }
    const secret = Buffer.from(id.slice(LIFE_LENGTH), 'base64url');
    const lease = secret.readInt32BE(0);
    const row = lease < 0 ? -1 : this.leases.rowOf(lease);
    if (row < 0 || row * WORDS >= this.secrets.length) return NoLease.UNKNOWN;
    for (let i = 0; i < WORDS; i++) {
      if (this.secrets[row * WORDS + i] !== secret.readUInt16BE(4 + 2 * i)) return NoLease.UNKNOWN;
    }
    return lease;
  }

  private grow(row: number): void {
    const rows = Math.max(64, 2 ** Math.ceil(Math.log2(row + 1)) * 2);
    const wider = new Uint16Array(rows * WORDS);
    wider.set(this.secrets);
    this.secrets = wider;
  }
}

/** base64url of a multiple of three bytes. */
function encode(from: Uint8Array, to: Uint8Array, at: number): void {
  for (let i = 0, o = at; i < from.length; i += 3, o += 4) {
    const bits = ((from[i] as number) << 16) | ((from[i + 1] as number) << 8) | (from[i + 2] as number);
    to[o] = ALPHABET[bits >>> 18] as number;
    to[o + 1] = ALPHABET[(bits >>> 12) & 63] as number;
    to[o + 2] = ALPHABET[(bits >>> 6) & 63] as number;
    to[o + 3] = ALPHABET[bits & 63] as number;
  }
}
