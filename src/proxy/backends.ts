/** The backends that calls are sent to, by their slots in the load table; followed as servers come and go. */
import type { Mesh } from '../core/mesh.ts';
import { Backend, type Reachability } from './backend.ts';
import type { UpstreamConnection } from './connections.ts';
import type { BackendGauges } from './counters.ts';
import type { ProxyShared } from './shared.ts';

/** Splits a backend's `host:port`. */
export type ParseAddress = (address: string) => { readonly host: string; readonly port: number };

export class Backends {
  private readonly bySlot: (Backend | undefined)[] = [];
  private readonly slots = new Map<string, number>();
  /** Of servers that are gone, until their last call. */
  private readonly leaving = new Set<Backend>();
  private readonly mesh: Mesh;
  private readonly shared: ProxyShared;
  private readonly reachability: Reachability;
  private readonly parseAddress: ParseAddress;
  private readonly unfollow: () => void;

  constructor(mesh: Mesh, shared: ProxyShared, reachability: Reachability, parseAddress: ParseAddress) {
    this.mesh = mesh;
    this.shared = shared;
    this.reachability = reachability;
    this.parseAddress = parseAddress;
    this.unfollow = mesh.registry.onChange(id => this.changed(id));
  }

  get size(): number {
    return this.slots.size;
  }

  /** The backend that a lease's slot belongs to. */
  of(slot: number): Backend {
    const known = this.bySlot[slot];
    if (known !== undefined) return known;
    const id = this.mesh.idOf(slot);
    const view = this.mesh.registry.get(id);
    const address = view?.spec.address ?? '';
    const { host, port } = this.parseAddress(address);
    const backend = new Backend(id, address, host, port, this.shared, this.reachability);
    backend.streamsReports = view?.sources.includes('stream') ?? false;
    this.bySlot[slot] = backend;
    this.slots.set(id, slot);
    return backend;
  }

  /** How things stand with the backend in a slot, into `gauges`; all 0 where it has had no call yet. */
  gauge(slot: number, gauges: BackendGauges): void {
    const backend = this.bySlot[slot];
    if (backend !== undefined) backend.gauge(gauges);
    else gauges.connections = gauges.streams = gauges.full = gauges.stalled = gauges.waiting = 0;
  }

  /** When octets of an answer last came from a slot's backend, ms; −Infinity: never. */
  heardAt(slot: number): number {
    return this.bySlot[slot]?.heardAt ?? Number.NEGATIVE_INFINITY;
  }

  /** Connections to all of them, as people see them. */
  describe(now: number): UpstreamConnection[] {
    const here = [...this.slots.values()].map(slot => this.bySlot[slot] as Backend);
    return [...here, ...this.leaving].flatMap(backend => backend.describe(now));
  }

  watch(now: number): void {
    for (const slot of this.slots.values()) this.bySlot[slot]?.watch(now);
    for (const backend of this.leaving) {
      backend.watch(now);
      if (backend.idle) this.leaving.delete(backend);
    }
  }

  destroy(): void {
    this.unfollow();
    for (const slot of this.slots.values()) this.bySlot[slot]?.destroy();
    for (const backend of this.leaving) backend.destroy();
  }

  private changed(id: string): void {
    const slot = this.slots.get(id);
    if (slot === undefined) return;
    const backend = this.bySlot[slot] as Backend;
    const view = this.mesh.registry.get(id);
    if (view?.spec.address === backend.address && this.mesh.slotOf(id) === slot) {
      backend.streamsReports = view.sources.includes('stream');
      return;
    }
    this.slots.delete(id);
    this.bySlot[slot] = undefined;
    this.leaving.add(backend);
    backend.close();
  }
}
