/** Tells of the control API, leases, the registry. */
import type { Control } from '../../../control/control.ts';
import type { RegistryEvent } from '../../../core/events.ts';
import type { Mesh } from '../../../core/mesh.ts';
import type { Log } from '../../../state/log.ts';
import { CONTROL, REGISTRY } from '../catalog/control.ts';
import type { Family } from '../family.ts';
import type { Registry } from '../registry.ts';

export function tellControl(registry: Registry, control: Control, mesh: Mesh): void {
  const { counters } = control;
  const { leases } = mesh;
  const results = (family: Family, of: Readonly<Record<string, () => number>>): void =>
    registry.add(family, out => {
      for (const [result, count] of Object.entries(of)) out.add(count(), result);
    });
  const one = (family: Family, of: () => number): void => registry.add(family, out => out.add(of()));

  results(CONTROL.picks, {
    picked: () => counters.picked,
    unknown_service: () => counters.pickUnknownService,
    unavailable: () => counters.pickUnavailable,
    full: () => counters.pickFull,
    invalid: () => counters.pickInvalid,
  });
  results(CONTROL.outcomes, {
    accepted: () => counters.outcomesAccepted,
    unknown: () => counters.outcomesUnknown,
    foreign: () => counters.outcomesForeign,
  });
  one(CONTROL.leasesOpen, () => leases.open);
  one(CONTROL.leasesExpired, () => leases.expired);
  one(CONTROL.leasesLate, () => leases.late);
  results(CONTROL.reports, {
    taken: () => counters.reports,
    late: () => counters.reportsLate,
    invalid: () => counters.reportsInvalid,
  });
  results(CONTROL.registrations, {
    taken: () => counters.registered,
    refused: () => counters.registrationsRefused,
  });
  one(CONTROL.streamsLost, () => counters.reportersLost);
  one(CONTROL.takenOver, () => counters.takenOver);
  results(CONTROL.silenced, {
    refuses_connections: () => counters.ejectedRefused,
    silent: () => counters.ejectedSilent,
  });
  one(CONTROL.reporters, () => control.gauges().reporters);
  one(CONTROL.watches, () => control.gauges().watches);
  one(CONTROL.watchMessages, () => counters.watchMessages);
  one(CONTROL.watchBytes, () => counters.watchBytes);
  one(CONTROL.watchSkips, () => counters.watchSkips);
  one(CONTROL.watchResyncs, () => counters.watchResyncs);
  one(CONTROL.eventsLost, () => counters.eventsLost);
  one(CONTROL.connections, () => control.gauges().connections);
  one(CONTROL.faults, () => counters.faults);
}

const LOG_STATES = ['healthy', 'behind', 'read-only'] as const;

/** Returns what ends it. */
export function tellRegistry(registry: Registry, mesh: Mesh, log: Log): () => void {
  registry.add(REGISTRY.state, out => {
    const { state } = log.status();
    for (const each of LOG_STATES) out.add(Number(each === state), each);
  });
  registry.add(REGISTRY.pending, out => out.add(log.status().pending));
  registry.add(REGISTRY.durable, out => out.add(log.status().durable));
  registry.add(REGISTRY.figures, out => {
    for (const [name, value] of Object.entries(log.status().figures)) out.add(value, name);
  });
  const states = new Map<string, number>(
    ['STANDBY', 'WARMING', 'ACTIVE', 'DRAINING', 'EJECTED', 'gone'].map(state => [state, 0]),
  );
  // Those that are there already have come into their state before anybody counted.
  for (const { state } of mesh.registry.list()) states.set(state, (states.get(state) ?? 0) + 1);
  let refused = 0;
  registry.add(REGISTRY.position, out => out.add(mesh.registry.position));
  registry.add(REGISTRY.transitions, out => {
    for (const [state, count] of states) out.add(count, state);
  });
  registry.add(REGISTRY.refused, out => out.add(refused));
  return mesh.registry.onEvent(({ kind, state }: RegistryEvent) => {
    if (kind === 'refused') refused++;
    else if (kind === 'registered' || kind === 'state_changed' || kind === 'removed') {
      const into = state ?? 'gone';
      states.set(into, (states.get(into) ?? 0) + 1);
    }
  });
}
