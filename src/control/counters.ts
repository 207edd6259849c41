/** What has happened since the start, as plain numbers that are read at scrape time. */
export interface ControlCounters {
  /** Answers of PickServer, by result. */
  picked: number;
  pickUnknownService: number;
  pickUnavailable: number;
  pickFull: number;
  pickInvalid: number;
  /** Outcomes reported for leases. */
  outcomesAccepted: number;
  outcomesUnknown: number;
  outcomesForeign: number;
  /** Registrations taken, and turned away. */
  registered: number;
  registrationsRefused: number;
  /** Report streams that a later stream of the same server took over. */
  takenOver: number;
  /** Load reports taken, dropped for their sequence number, and refused. */
  reports: number;
  reportsLate: number;
  reportsInvalid: number;
  /** Report streams that ended without a deregistration. */
  reportersLost: number;
  /** Servers ejected because their stream was reset and their port refuses connections. */
  ejectedRefused: number;
  /** Servers ejected because their stream did not come back within its grace. */
  ejectedSilent: number;
  /** Messages of watches that were sent, their bytes, and how often a watch was skipped because its reader lags. */
  watchMessages: number;
  watchBytes: number;
  watchSkips: number;
  /** Watches that lagged behind all that is kept, and got a new snapshot. */
  watchResyncs: number;
  /** Followers of events that were ended because they lagged too far behind. */
  eventsLost: number;
  /** Calls that failed by a fault of ours. */
  faults: number;
}

export function zeroCounters(): ControlCounters {
  return {
    picked: 0,
    pickUnknownService: 0,
    pickUnavailable: 0,
    pickFull: 0,
    pickInvalid: 0,
    outcomesAccepted: 0,
    outcomesUnknown: 0,
    outcomesForeign: 0,
    registered: 0,
    registrationsRefused: 0,
    takenOver: 0,
    reports: 0,
    reportsLate: 0,
    reportsInvalid: 0,
    reportersLost: 0,
    ejectedRefused: 0,
    ejectedSilent: 0,
    watchMessages: 0,
    watchBytes: 0,
    watchSkips: 0,
    watchResyncs: 0,
    eventsLost: 0,
    faults: 0,
  };
}
