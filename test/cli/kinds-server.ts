/** A gRPC server with methods of all four kinds, and with the reflection that a test wants. */
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

export const PROTO_FOLDER = fileURLToPath(new URL('./protos', import.meta.url));
export const KINDS_PROTO = 'kinds/v1/kinds.proto';

type Item = Record<string, unknown> & { text: string };

export interface KindsServer {
  readonly address: string;
  /** Metadata of every call so far. */
  readonly seen: grpc.Metadata[];
  close(): void;
}

export async function startKinds(reflection: 'v1' | 'v1alpha' | 'none'): Promise<KindsServer> {
  const definitions = loadSync(KINDS_PROTO, { includeDirs: [PROTO_FOLDER], keepCase: true, longs: String });
  const server = new grpc.Server();
  const seen: grpc.Metadata[] = [];
  server.addService(definitions['kinds.v1.KindsService'] as grpc.ServiceDefinition, {
    Unary: (call: grpc.ServerUnaryCall<Item, Item>, done: grpc.sendUnaryData<Item>) => {
      seen.push(call.metadata);
      const trailer = new grpc.Metadata();
      trailer.set('x-served', 'yes');
      done(null, { ...call.request, text: `${call.request.text ?? ''}!` }, trailer);
    },
    Gather: (call: grpc.ServerReadableStream<Item, Item>, done: grpc.sendUnaryData<Item>) => {
      const items: Item[] = [];
      call.on('data', item => items.push(item));
      call.on('end', () => done(null, { text: String(items.length), items }));
    },
    Spread: (call: grpc.ServerWritableStream<Item, Item>) => {
      for (let i = 0; i < 3; i++) call.write({ text: `${call.request.text}${i}` });
      call.end();
    },
    Chat: (call: grpc.ServerDuplexStream<Item, Item>) => {
      call.on('data', item => call.write({ text: `re: ${item.text}` }));
      call.on('end', () => call.end());
    },
    Fail: (_call: grpc.ServerUnaryCall<Item, Item>, done: grpc.sendUnaryData<Item>) =>
      done({ code: grpc.status.FAILED_PRECONDITION, details: 'not\x1b[2J today' }),
    Hang: () => {},
  });
  if (reflection !== 'none') addReflection(server, definitions, reflection);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { address: `127.0.0.1:${port}`, seen, close: () => server.forceShutdown() };
}

/** The library adds both versions; old servers have v1alpha alone. */
function addReflection(server: grpc.Server, definitions: ReturnType<typeof loadSync>, version: string): void {
  const only = {
    addService(service: grpc.ServiceDefinition, handlers: grpc.UntypedServiceImplementation) {
      const [method] = Object.values(service);
      if (method?.path.startsWith(`/grpc.reflection.${version}.`)) server.addService(service, handlers);
    },
  };
  new ReflectionService(definitions).addToServer(only as grpc.Server);
}
