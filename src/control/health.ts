/** `grpc.health.v1.Health` of the control API: SERVING from listening until closing. */
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthListRequest,
  HealthListResponse,
  HealthCheckResponse_ServingStatus as Serving,
} from '../gen/grpc/health/v1/health.ts';
import { Status } from '../grpc/status.ts';
import { serverStream, unary } from './methods.ts';
import { RpcError, type Service, type Sink } from './rpc.ts';

const NAME = 'grpc.health.v1.Health';

export class Health {
  private serving = true;
  private readonly known: Set<string>;
  private readonly watchers = new Set<Sink>();

  /** `services`: those that are known besides '', the whole server. */
  constructor(services: readonly string[]) {
    this.known = new Set(['', ...services]);
  }

  /** Tells all watchers that the server takes no more calls, and lets them go. */
  stop(): void {
    this.serving = false;
    for (const sink of this.watchers) {
      sink.write(encode(Serving.NOT_SERVING));
      sink.end();
    }
    this.watchers.clear();
  }

  service(): Service {
    const path = (method: string) => `/${NAME}/${method}`;
    return {
      name: NAME,
      methods: [
        unary(path('Check'), HealthCheckRequest, HealthCheckResponse, ({ service }) => {
          if (!this.known.has(service)) {
            throw new RpcError(Status.NOT_FOUND, `the control API has no service '${service.slice(0, 100)}'`);
          }
          return { status: this.status() };
        }),
        unary(path('List'), HealthListRequest, HealthListResponse, () => ({
          statuses: Object.fromEntries([...this.known].map(name => [name, { status: this.status() }])),
        })),
        serverStream(path('Watch'), HealthCheckRequest, ({ service }, _peer, sink) => {
          sink.write(encode(this.known.has(service) ? this.status() : Serving.SERVICE_UNKNOWN));
          if (!this.serving) sink.end();
          else if (this.known.has(service)) this.watchers.add(sink);
          return () => this.watchers.delete(sink);
        }),
      ],
    };
  }

  private status(): Serving {
    return this.serving ? Serving.SERVING : Serving.NOT_SERVING;
  }
}

function encode(status: Serving): Uint8Array {
  return HealthCheckResponse.encode({ status }).finish();
}
