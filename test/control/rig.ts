/** A whole balancer's control API over a mesh with a log in memory, and what its clients speak with. */
import type { Client } from '@grpc/grpc-js';
import {
  type Control,
  type ControlConfig,
  type ControlOptions,
  startControl,
} from '../../src/control/control.ts';
import { Mesh } from '../../src/core/mesh.ts';
import * as admin from '../../src/gen/heapmesh/v1/admin.ts';
import { ReportLoadRequest, ReportLoadResponse } from '../../src/gen/heapmesh/v1/load_report.ts';
import * as lookaside from '../../src/gen/heapmesh/v1/lookaside.ts';
import { OrcaLoadReport } from '../../src/gen/xds/data/orca/v3/orca_load_report.ts';
import { durationOf } from '../../src/grpc/duration.ts';
import { LogLink } from '../../src/state/follow.ts';
import { MemoryLog } from '../../src/state/memory-log.ts';
import { call, connect, Inbox, openBidi, openClientStream, openServerStream } from './support.ts';

export const SERVICE = 'echo.v1.EchoService';

export interface Rig {
  readonly mesh: Mesh;
  readonly control: Control;
  readonly address: string;
  /** A client on a connection of its own; closed with the rig. */
  client(): Client;
  /** Waits until something holds; the test's time-out bounds it. */
  until(what: () => boolean): Promise<void>;
}

export interface RigOptions extends Partial<Omit<ControlOptions, 'mesh' | 'config'>> {
  readonly instanceId?: string;
  readonly reportIntervalMs?: number;
  readonly reportGraceMs?: number;
  readonly forgetAfterMs?: number;
  readonly leaseTtlMs?: number;
  readonly zone?: string;
  readonly advertise?: string;
  readonly allowBackends?: readonly string[];
}

export function configOf(options: RigOptions = {}): ControlConfig {
  return {
    instance: {
      id: options.instanceId ?? 'lb-1',
      zone: options.zone ?? '',
      advertise: options.advertise === undefined ? {} : { control: options.advertise },
    },
    control: {
      listen: '127.0.0.1:0',
      reportIntervalMs: options.reportIntervalMs ?? 1000,
      leaseTtlMs: options.leaseTtlMs ?? 10_000,
      allowBackends: options.allowBackends ?? [],
    },
    health: {
      reportGraceMs: options.reportGraceMs ?? 60_000,
      forgetAfterMs: options.forgetAfterMs ?? 600_000,
    },
  };
}

export function makeMesh(instanceId = 'lb-1', leaseTtlMs = 10_000): Mesh {
  const link = new LogLink(new MemoryLog());
  const mesh = new Mesh({
    instanceId,
    epoch: Date.now(),
    append: link.append,
    wallClock: Date.now,
    clock: () => performance.now(),
    random: Math.random,
    leaseTtlMs,
    onError: error => {
      throw error;
    },
  });
  link.follow(mesh.registry);
  return mesh;
}

export async function rig(options: RigOptions, use: (rig: Rig) => Promise<void>): Promise<void> {
  const mesh = makeMesh(options.instanceId, options.leaseTtlMs);
  const control = await startControl({ ...options, mesh, config: configOf(options) });
  const ticker = setInterval(() => mesh.tick(performance.now()), 20);
  const clients: Client[] = [];
  try {
    await use({
      mesh,
      control,
      address: control.address,
      client() {
        const client = connect(control.address);
        clients.push(client);
        return client;
      },
      async until(what) {
        while (!what()) await new Promise(resolve => setTimeout(resolve, 5));
      },
    });
  } finally {
    for (const client of clients) client.close();
    await control.close(0);
    clearInterval(ticker);
  }
}

type Registration = NonNullable<Extract<ReportLoadRequest['kind'], { $case: 'registration' }>>['value'];

export function registration(change: Partial<Registration> = {}): Registration {
  return {
    id: 'a',
    address: '127.0.0.1:50051',
    services: [SERVICE],
    weight: 1,
    zone: '',
    labels: {},
    maxConcurrency: 0,
    standby: false,
    ...change,
  };
}

/** A backend's report stream. */
export class BackendStream {
  readonly stream: ReturnType<typeof openBidi<ReportLoadRequest, ReportLoadResponse>>;
  readonly inbox: Inbox<ReportLoadResponse>;
  private sequence = 0n;

  constructor(client: Client) {
    this.stream = openBidi(
      client,
      '/heapmesh.v1.LoadReportService/ReportLoad',
      ReportLoadRequest,
      ReportLoadResponse,
    );
    this.inbox = new Inbox(this.stream);
  }

  send(kind: ReportLoadRequest['kind'], sequence = ++this.sequence): void {
    this.stream.write({ kind, sequence, window: undefined });
  }

  /** Registers, and resolves with the answer. */
  async register(change: Partial<Registration> = {}) {
    this.send({ $case: 'registration', value: registration(change) });
    const answer = await this.inbox.next();
    if (answer.kind?.$case !== 'registered') throw new Error(`answered with ${answer.kind?.$case}`);
    return answer.kind.value;
  }

  report(load: Parameters<typeof OrcaLoadReport.fromPartial>[0], sequence?: bigint): void {
    const message = { $case: 'load', value: OrcaLoadReport.fromPartial(load) } as const;
    if (sequence === undefined) this.send(message);
    else this.send(message, sequence);
  }

  leave(drainTimeoutMs: number): void {
    this.send({ $case: 'deregistration', value: { drainTimeout: durationOf(drainTimeoutMs) } });
  }
}

/** Makes servers known without a stream, as an operator would. */
export function claim(mesh: Mesh, change: Partial<Registration> = {}): void {
  mesh.registry.propose({ kind: 'claim', source: 'config', spec: registration(change) }, 'test');
}

export const LOOKASIDE = '/heapmesh.v1.LookasideService';
export const ADMIN = '/heapmesh.v1.AdminService';

export function pick(
  client: Client,
  change: Partial<lookaside.PickServerRequest> = {},
  timeoutMs = Number.POSITIVE_INFINITY,
) {
  const request = lookaside.PickServerRequest.fromPartial({ service: SERVICE, ...change });
  return call(
    client,
    `${LOOKASIDE}/PickServer`,
    lookaside.PickServerRequest,
    lookaside.PickServerResponse,
    request,
    timeoutMs,
  );
}

export function outcomes(client: Client) {
  const path = `${LOOKASIDE}/ReportOutcomes`;
  const { stream, answer } = openClientStream(
    client,
    path,
    lookaside.ReportOutcomesRequest,
    lookaside.ReportOutcomesResponse,
  );
  return {
    send(outcome: Parameters<typeof lookaside.ReportOutcomesRequest.fromPartial>[0]): void {
      stream.write(lookaside.ReportOutcomesRequest.fromPartial(outcome));
    },
    end() {
      stream.end();
      return answer;
    },
    answer,
  };
}

export function watch(
  client: Client,
  change: Parameters<typeof lookaside.WatchServersRequest.fromPartial>[0] = {},
) {
  const request = lookaside.WatchServersRequest.fromPartial({ service: SERVICE, ...change });
  const stream = openServerStream(
    client,
    `${LOOKASIDE}/WatchServers`,
    lookaside.WatchServersRequest,
    lookaside.WatchServersResponse,
    request,
  );
  return { stream, inbox: new Inbox(stream) };
}

type AdminCalls = {
  [Name in 'list' | 'add' | 'remove' | 'drain' | 'undrain' | 'activate' | 'weight' | 'heap']: Name;
};
const CODECS = {
  list: ['ListServers', admin.ListServersRequest, admin.ListServersResponse],
  add: ['AddServer', admin.AddServerRequest, admin.AddServerResponse],
  remove: ['RemoveServer', admin.RemoveServerRequest, admin.RemoveServerResponse],
  drain: ['DrainServer', admin.DrainServerRequest, admin.DrainServerResponse],
  undrain: ['UndrainServer', admin.UndrainServerRequest, admin.UndrainServerResponse],
  activate: ['ActivateServer', admin.ActivateServerRequest, admin.ActivateServerResponse],
  weight: ['SetServerWeight', admin.SetServerWeightRequest, admin.SetServerWeightResponse],
  heap: ['GetHeap', admin.GetHeapRequest, admin.GetHeapResponse],
} as const;

type Request<Name extends keyof AdminCalls> = Parameters<(typeof CODECS)[Name][1]['fromPartial']>[0];
type Answer<Name extends keyof AdminCalls> = ReturnType<(typeof CODECS)[Name][2]['decode']>;

/** One call of AdminService. */
export function operate<Name extends keyof AdminCalls>(
  client: Client,
  name: Name,
  request: Request<Name>,
): Promise<Answer<Name>> {
  const [method, q, a] = CODECS[name];
  const message = (q as { fromPartial(value: unknown): unknown }).fromPartial(request);
  return call(client, `${ADMIN}/${method}`, q as never, a as never, message as never) as Promise<
    Answer<Name>
  >;
}

export function events(
  client: Client,
  change: Parameters<typeof admin.WatchEventsRequest.fromPartial>[0] = {},
) {
  const request = admin.WatchEventsRequest.fromPartial(change);
  const path = `${ADMIN}/WatchEvents`;
  const stream = openServerStream(client, path, admin.WatchEventsRequest, admin.WatchEventsResponse, request);
  return { stream, inbox: new Inbox(stream) };
}
