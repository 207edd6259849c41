/**
 * Who is in a pool: its members by number, their states, and the zones whose heaps they stand in.
 * Numbers are small and used again, so that what is kept by member fits arrays.
 */
import type { ServerState, ServerView } from './core.ts';
import { POOL_LIMITS } from './limits.ts';
import { hashString } from './rendezvous.ts';
import { Zone } from './zone.ts';

const STATES: readonly ServerState[] = ['STANDBY', 'WARMING', 'ACTIVE', 'DRAINING', 'EJECTED'];

export interface PoolCounts {
  standby: number;
  warming: number;
  active: number;
  draining: number;
  ejected: number;
}

export class PoolMembers {
  /** Grows whenever members or their states change. */
  version = 0;
  readonly zones: Zone[] = [];

  // By member; slot −1 is a number that nobody has.
  slots = new Int32Array(0);
  hashes = new Uint32Array(0);
  private states = new Uint8Array(0);
  protected readonly zoneOf: Zone[] = [];

  /** The zone where there is one only. */
  protected only: Zone | undefined;
  /** Numbers that were ever given out. */
  protected top = 0;

  private readonly memberOf = new Map<number, number>();
  private readonly freeMembers: number[] = [];
  private readonly byState = [0, 0, 0, 0, 0];
  private readonly zoneByName = new Map<string, Zone>();

  get size(): number {
    return this.memberOf.size;
  }

  /** Servers that may be picked as far as their state goes. */
  get eligible(): number {
    return (this.byState[1] as number) + (this.byState[2] as number);
  }

  /** Whether a server is warm, so that newcomers have somebody to be compared with. */
  protected get hasWarm(): boolean {
    return (this.byState[2] as number) > 0;
  }

  counts(): PoolCounts {
    const [standby = 0, warming = 0, active = 0, draining = 0, ejected = 0] = this.byState;
    return { standby, warming, active, draining, ejected };
  }

  has(slot: number): boolean {
    return this.memberOf.has(slot);
  }

  /** Slots of all members, in no order. */
  members(): Iterable<number> {
    return this.memberOf.keys();
  }

  /** The member that a server is; −1 where it is not in the pool. */
  memberAt(slot: number): number {
    return this.memberOf.get(slot) ?? -1;
  }

  zoneAt(member: number): Zone {
    return this.zoneOf[member] as Zone;
  }

  zoneNamed(name: string): Zone | undefined {
    return this.zoneByName.get(name);
  }

  /** The zone whose root is the pool's. */
  bestZone(): Zone | undefined {
    if (this.only !== undefined) return this.only;
    let best: Zone | undefined;
    for (let i = 0; i < this.zones.length; i++) {
      const zone = this.zones[i] as Zone;
      if (zone.order.size > 0 && (best === undefined || zone.leads(best))) best = zone;
    }
    return best;
  }

  /** Gives a server a number, and room to what is kept by number. */
  protected enrol(slot: number, view: ServerView): number {
    const member = this.freeMembers.pop() ?? this.top++;
    if (member >= this.slots.length) this.grow(Math.max(16, this.slots.length * 2));
    this.memberOf.set(slot, member);
    this.slots[member] = slot;
    this.hashes[member] = hashString(view.spec.id);
    this.enterZone(member, this.zone(view.spec.zone));
    this.states[member] = STATES.indexOf(view.state);
    this.tally(member, 1);
    this.version++;
    return member;
  }

  /** Takes over a member's state and zone. */
  protected follow(member: number, view: ServerView): void {
    this.tally(member, -1);
    this.states[member] = STATES.indexOf(view.state);
    this.tally(member, 1);
    const from = this.zoneAt(member);
    const to = this.zone(view.spec.zone);
    if (from !== to) {
      this.leaveZone(member, from);
      this.enterZone(member, to);
    }
    this.version++;
  }

  /** Takes a member out of its heap for good, and its number back. */
  protected dismiss(member: number): void {
    this.tally(member, -1);
    this.leaveZone(member, this.zoneAt(member));
    this.memberOf.delete(this.slots[member] as number);
    this.slots[member] = -1;
    this.freeMembers.push(member);
    this.version++;
  }

  protected grow(size: number): void {
    const slots = new Int32Array(size).fill(-1);
    slots.set(this.slots);
    this.slots = slots;
    const hashes = new Uint32Array(size);
    hashes.set(this.hashes);
    this.hashes = hashes;
    const states = new Uint8Array(size);
    states.set(this.states);
    this.states = states;
  }

  private tally(member: number, by: number): void {
    const state = this.states[member] as number;
    this.byState[state] = (this.byState[state] as number) + by;
  }

  /** The zone of that name, made where there is none; beyond the limit the one without a name. */
  private zone(name: string): Zone {
    const known = this.zoneByName.get(name);
    if (known !== undefined) return known;
    if (name !== '' && this.zones.length >= POOL_LIMITS.zones) return this.zone('');
    const zone = new Zone(name, this.zones[0]);
    this.zoneByName.set(name, zone);
    this.zones.push(zone);
    this.only = this.zones.length === 1 ? zone : undefined;
    return zone;
  }

  private enterZone(member: number, zone: Zone): void {
    zone.members++;
    this.zoneOf[member] = zone;
  }

  private leaveZone(member: number, zone: Zone): void {
    zone.forget(member);
    if (--zone.members > 0) return;
    this.zoneByName.delete(zone.name);
    this.zones.splice(this.zones.indexOf(zone), 1);
    this.only = this.zones.length === 1 ? this.zones[0] : undefined;
  }
}
