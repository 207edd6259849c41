/** What servers and balancers tell each other beside calls: load reports and probes. */
import type { Balancer } from './balancer.ts';
import type { CallTable } from './calls.ts';
import { Event } from './events.ts';
import { LatencyBook, ProbeTable } from './probes.ts';
import type { EventQueue } from './queue.ts';
import type { Random } from './random.ts';
import { ReportStreams } from './reports.ts';
import type { Reports, Scenario } from './scenario.ts';
import type { Server } from './server.ts';

export interface SignalsOptions {
  readonly scenario: Scenario;
  readonly servers: readonly Server[];
  readonly balancers: readonly Balancer[];
  readonly queue: EventQueue;
  readonly random: Random;
  /** How many balancers there will be. */
  readonly count: number;
  /** Servers keep latencies for probes. */
  readonly probes: boolean;
  readonly delay: (balancer: number, server: number) => number;
}

export class Signals {
  private readonly options: SignalsOptions;
  private readonly streams: ReportStreams;
  /** By server. */
  private readonly reportsOf: readonly Reports[];
  private readonly probes = new ProbeTable();
  private readonly books: readonly LatencyBook[];

  constructor(options: SignalsOptions) {
    this.options = options;
    const { scenario, servers, count, random } = options;
    this.streams = new ReportStreams(servers.length * count, scenario.reportMs, random);
    this.reportsOf = scenario.servers.flatMap(group => Array<Reports>(group.count).fill(group.reports));
    this.books = options.probes ? servers.map(() => new LatencyBook()) : [];
  }

  /** The streams begin, each in a phase of its own. */
  begin(): void {
    const { scenario, servers, count, queue } = this.options;
    if (!(scenario.reportMs > 0)) return;
    for (let index = 0; index < count; index++) {
      for (const server of servers) {
        queue.push(this.streams.phase(), Event.REPORT, server.index * count + index);
      }
    }
  }

  /** A server can be reached from now on: what it tells next is since now. */
  connect(server: Server, now: number): void {
    const { count } = this.options;
    for (let index = 0; index < count; index++) {
      this.streams.begin(server.index * count + index, server, now);
    }
  }

  /** A stream's server makes a report. */
  report(stream: number, now: number): void {
    const { servers, count, queue, delay } = this.options;
    const server = servers[Math.floor(stream / count)] as Server;
    queue.push(now + this.streams.interval(), Event.REPORT, stream);
    const reports = this.reportsOf[server.index] as Reports;
    if (!reports.sent || !server.up || !server.present || server.hung || server.silent) return;
    this.streams.make(stream, server, reports, now);
    queue.push(now + delay(stream % count, server.index), Event.REPORT_ARRIVES, stream);
  }

  reportArrives(stream: number, now: number): void {
    const { balancers, count } = this.options;
    const balancer = balancers[stream % count] as Balancer;
    balancer.report?.(Math.floor(stream / count), this.streams.arrived(stream), now);
  }

  /** A call ended at its server: probes tell of its latency. */
  learn(call: number, calls: CallTable, now: number): void {
    if (this.books.length === 0) return;
    const book = this.books[calls.server[call] as number] as LatencyBook;
    book.add(calls.met[call] as number, now - (calls.arrived[call] as number));
  }

  probe(balancer: number, server: number, now: number): void {
    const { queue, delay } = this.options;
    const probe = this.probes.begin(balancer, server);
    queue.push(now + delay(balancer, server), Event.PROBE_AT_SERVER, probe);
  }

  probeAtServer(probe: number, now: number): void {
    const { servers, queue, delay } = this.options;
    const { probes } = this;
    const server = servers[probes.server[probe] as number] as Server;
    if (!server.up || server.hung) {
      probes.end(probe);
      return;
    }
    probes.inFlight[probe] = server.inFlight;
    probes.latency[probe] = (this.books[server.index] as LatencyBook).at(server.inFlight);
    queue.push(now + delay(probes.balancer[probe] as number, server.index), Event.PROBE_ARRIVES, probe);
  }

  probeArrives(probe: number, now: number): void {
    const { probes } = this;
    const balancer = this.options.balancers[probes.balancer[probe] as number] as Balancer;
    const server = probes.server[probe] as number;
    balancer.probed?.(server, probes.inFlight[probe] as number, probes.latency[probe] as number, now);
    probes.end(probe);
  }
}
