/** The interop service as grpc-js sees it. */
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const definition = loadSync(fileURLToPath(new URL('./testing.proto', import.meta.url)), {
  keepCase: true,
  defaults: true,
});
const { grpc: root } = grpc.loadPackageDefinition(definition) as unknown as {
  grpc: { testing: Record<'TestService' | 'UnimplementedService', grpc.ServiceClientConstructor> };
};

export const TestService = root.testing.TestService;
export const UnimplementedService = root.testing.UnimplementedService;

export type Payload = { body: Buffer };
export type Client = grpc.Client & Record<string, (...args: never[]) => unknown>;

/** Connections are not shared between clients, so that each test has its own. */
export function clientOf(
  service: grpc.ServiceClientConstructor,
  address: string,
  options: grpc.ChannelOptions = {},
): Client {
  return new service(address, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    // Transparent retries of the client would hide faults of the proxy.
    'grpc.enable_retries': 0,
    ...options,
  }) as unknown as Client;
}

export interface Ended {
  readonly code: number;
  readonly details: string;
  readonly header: grpc.Metadata | undefined;
  readonly trailer: grpc.Metadata;
}

/** How a call ends. */
export function ended(call: grpc.ClientUnaryCall): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  let header: grpc.Metadata | undefined;
  call.on('metadata', (metadata: grpc.Metadata) => {
    header = metadata;
  });
  call.on('status', ({ code, details, metadata }: grpc.StatusObject) =>
    resolve({ code, details, header, trailer: metadata }),
  );
  // It says the same as the status, and would be thrown where nobody listens.
  call.on('error', () => undefined);
  return promise;
}

/** A unary call: its response and how it ended. */
export async function unary<T>(
  client: Client,
  method: string,
  request: unknown,
  { metadata = new grpc.Metadata(), options = {} as grpc.CallOptions } = {},
): Promise<Ended & { response: T | undefined }> {
  const answer = Promise.withResolvers<T | undefined>();
  const start = client[method] as unknown as (...args: unknown[]) => grpc.ClientUnaryCall;
  const call = start.call(client, request, metadata, options, (_error: unknown, response: T | undefined) =>
    answer.resolve(response),
  );
  const end = await ended(call);
  return { ...end, response: await answer.promise };
}

/** Opens a stream of either or both directions. */
export function streaming<Call>(client: Client, method: string, ...args: readonly unknown[]): Call {
  const start = client[method] as unknown as (...all: readonly unknown[]) => Call;
  return start.call(client, ...args);
}
