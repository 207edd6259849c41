/**
 * `grpc.health.v1.Health` as the proxy answers it: for the service '' its own health, for a named one that
 * of its pool.
 */
import { PROXY_LIMITS } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import { PanicLevel } from '../core/panic.ts';
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthListResponse,
  HealthCheckResponse_ServingStatus as Serving,
} from '../gen/grpc/health/v1/health.ts';
import { PREFIX_BYTES } from '../grpc/framing.ts';
import { Status } from '../grpc/status.ts';
import type { HeaderList, Http2Context } from '../http2/http2.ts';
import type { Call } from './call.ts';
import type { End } from './ends.ts';

const PREFIX = '/grpc.health.v1.Health/';

interface Asked {
  readonly call: Call;
  readonly method: string;
  body: Buffer;
  /** What a watcher was told last; −1: nothing yet. */
  told: number;
  /** Octets that the caller has not taken yet: one that reads nothing is told no more than what is so in the end. */
  owed: number;
  service: string;
}

export class HealthService implements End {
  private readonly asked = new Map<number, Asked>();
  private readonly mesh: Mesh;
  private readonly draining: () => boolean;
  private readonly head: HeaderList;
  private readonly ok: HeaderList;

  constructor(mesh: Mesh, context: Http2Context, draining: () => boolean) {
    this.mesh = mesh;
    this.draining = draining;
    this.head = context.listOf([
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ]);
    this.ok = context.listOf([['grpc-status', '0']]);
  }

  static serves(path: string): boolean {
    return path.startsWith(PREFIX);
  }

  /** Tells watchers what has changed; to be called when the registry has changed. */
  changed(): void {
    for (const asked of this.asked.values()) if (asked.told >= 0) this.tell(asked);
  }

  /** Tells watchers that this process leaves, and ends them: they would keep it from leaving. */
  leave(): void {
    this.changed();
    for (const { call } of this.asked.values()) call.end(Status.UNAVAILABLE, 'the proxy is shutting down');
  }

  // End of a call

  sendHead(stream: number, call: Call, _list: HeaderList, endStream: boolean): void {
    const method = call.path.slice(PREFIX.length);
    const asked: Asked = { call, method, body: EMPTY, told: -1, owed: 0, service: '' };
    this.asked.set(stream, asked);
    if (endStream) this.answer(asked);
  }

  sendData(stream: number, buffer: Buffer, start: number, end: number, endStream: boolean): number {
    const asked = this.asked.get(stream);
    if (asked === undefined) return end - start;
    if (asked.body.length + end - start > PROXY_LIMITS.localRequestBytes) {
      asked.call.end(
        Status.RESOURCE_EXHAUSTED,
        `a health request has at most ${PROXY_LIMITS.localRequestBytes} octets`,
      );
      return end - start;
    }
    asked.body = Buffer.concat([asked.body, buffer.subarray(start, end)]);
    if (endStream) this.answer(asked);
    return end - start;
  }

  sendTrailers(stream: number): void {
    const asked = this.asked.get(stream);
    if (asked !== undefined) this.answer(asked);
  }

  credit(stream: number, octets: number): void {
    const asked = this.asked.get(stream);
    if (asked === undefined) return;
    asked.owed -= octets;
    if (asked.told >= 0) this.tell(asked);
  }

  abort(stream: number): void {
    this.asked.delete(stream);
  }

  detach(stream: number): void {
    this.asked.delete(stream);
  }

  private answer(asked: Asked): void {
    const { call, method, body } = asked;
    if (method === 'List') {
      const statuses: Record<string, HealthCheckResponse> = { '': { status: this.statusOf('') as Serving } };
      for (const pool of this.mesh.pools()) {
        statuses[pool.service] = { status: this.statusOf(pool.service) as Serving };
      }
      this.reply(asked, HealthListResponse.encode({ statuses }).finish());
      return;
    }
    if (method !== 'Check' && method !== 'Watch') {
      call.end(Status.UNIMPLEMENTED, `grpc.health.v1.Health has no method ${method.slice(0, 100)}`);
      return;
    }
    try {
      if (body.length < PREFIX_BYTES || body[0] !== 0 || body.readUInt32BE(1) !== body.length - PREFIX_BYTES)
        throw new Error('not one uncompressed message');
      asked.service = HealthCheckRequest.decode(body.subarray(PREFIX_BYTES)).service;
    } catch (error) {
      call.end(Status.INTERNAL, `the request is no HealthCheckRequest: ${(error as Error).message}`);
      return;
    }
    const status = this.statusOf(asked.service);
    if (method === 'Watch') {
      call.response.begin(this.head);
      this.tell(asked);
    } else if (status === undefined) {
      call.end(Status.NOT_FOUND, `no backend serves ${asked.service.slice(0, 100)}`);
    } else {
      this.reply(asked, HealthCheckResponse.encode({ status }).finish());
    }
  }

  private reply(asked: Asked, message: Uint8Array): void {
    const { call } = asked;
    call.response.begin(this.head);
    this.send(asked, message);
    call.response.trailers(this.ok);
  }

  private tell(asked: Asked): void {
    const status = this.statusOf(asked.service) ?? Serving.SERVICE_UNKNOWN;
    if (status === asked.told || asked.owed > 0) return;
    asked.told = status;
    this.send(asked, HealthCheckResponse.encode({ status }).finish());
  }

  private send(asked: Asked, message: Uint8Array): void {
    const framed = Buffer.alloc(PREFIX_BYTES + message.length);
    framed.writeUInt32BE(message.length, 1);
    framed.set(message, PREFIX_BYTES);
    asked.owed += framed.length;
    asked.call.response.data(framed, 0, framed.length, false);
  }

  private statusOf(service: string): Serving | undefined {
    if (this.draining()) return Serving.NOT_SERVING;
    if (service === '') return Serving.SERVING;
    const pool = this.mesh.pool(service);
    if (pool === undefined) return undefined;
    return pool.eligible > 0 || pool.panicLevel === PanicLevel.JUDGED ? Serving.SERVING : Serving.NOT_SERVING;
  }
}

const EMPTY = Buffer.alloc(0);
