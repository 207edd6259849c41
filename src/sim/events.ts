/** Kinds of events of the simulation. */
export const Event = {
  AT_SERVER: 0,
  SERVED: 1,
  AT_BALANCER: 2,
  DEADLINE: 3,
  CANCEL_AT_SERVER: 4,
  REPORT: 5,
  REPORT_ARRIVES: 6,
  TICK: 7,
  HAPPENING: 8,
  ANTAGONISTS: 9,
  PROBE_AT_SERVER: 10,
  PROBE_ARRIVES: 11,
  SAMPLE: 12,
} as const;
