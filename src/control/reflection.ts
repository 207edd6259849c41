/**
 * Server reflection, v1 and v1alpha, over the descriptors that the code generator embeds: what grpcurl
 * and its like need to list, describe and call. The descriptors are read when somebody first asks.
 *
 * https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 */
import { create, createFileRegistry, type DescFile, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { CONTROL } from '../core/limits.ts';
import { FILE_DESCRIPTORS } from '../gen/descriptors.ts';
import { ServerReflectionRequest, ServerReflectionResponse } from '../gen/grpc/reflection/v1/reflection.ts';
import { Status } from '../grpc/status.ts';
import { requestStream } from './methods.ts';
import { RpcError, type Service } from './rpc.ts';

type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

/** Both versions of the protocol: the same messages under two names. */
export const REFLECTION_SERVICES = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
] as const;

class Descriptors {
  private readonly registry: FileRegistry;
  private readonly encoded = new Map<string, Uint8Array>();

  constructor() {
    const file = FILE_DESCRIPTORS.map(text => {
      const bytes = Buffer.from(text, 'base64');
      const descriptor = fromBinary(FileDescriptorProtoSchema, bytes);
      this.encoded.set(descriptor.name, bytes);
      return descriptor;
    });
    this.registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  }

  byName(name: string): DescFile | undefined {
    return this.registry.getFile(name);
  }

  /** The file that defines a message, enum, service or extension, or one of their members. */
  bySymbol(symbol: string): DescFile | undefined {
    const found = this.registry.get(symbol);
    if (found !== undefined) return found.file;
    const dot = symbol.lastIndexOf('.');
    const parent = dot < 0 ? undefined : this.registry.get(symbol.slice(0, dot));
    const member = symbol.slice(dot + 1);
    switch (parent?.kind) {
      case 'service':
        return parent.methods.some(one => one.name === member) ? parent.file : undefined;
      case 'message':
        return parent.fields.some(one => one.name === member) ? parent.file : undefined;
      case 'enum':
        return parent.values.some(one => one.name === member) ? parent.file : undefined;
      default:
        return undefined;
    }
  }

  isMessage(name: string): boolean {
    return this.registry.getMessage(name) !== undefined;
  }

  /** A file and everything that it imports, each once, imported ones after those that import them. */
  closure(file: DescFile): Buffer[] {
    const seen = new Set<DescFile>([file]);
    for (const one of seen) for (const dependency of one.dependencies) seen.add(dependency);
    return [...seen].map(one => Buffer.from(this.encoded.get(one.proto.name) ?? []));
  }
}

export function reflectionServices(names: readonly string[]): Service[] {
  let descriptors: Descriptors | undefined;
  const answer = (request: ServerReflectionRequest): Answer => {
    descriptors ??= new Descriptors();
    return answerTo(descriptors, names, request);
  };
  return REFLECTION_SERVICES.map(name => ({
    name,
    methods: [
      requestStream('bidi', `/${name}/ServerReflectionInfo`, ServerReflectionRequest, (_peer, sink) => {
        // One answer is on its way at a time: a caller that asks without reading fills its own queue.
        const waiting: ServerReflectionRequest[] = [];
        let busy = false;
        let ended = false;
        const next = () => {
          const request = waiting.shift();
          busy = request !== undefined;
          if (request === undefined) {
            if (ended) sink.end();
            return;
          }
          const { host } = request;
          const message = { validHost: host, originalRequest: request, messageResponse: answer(request) };
          sink.write(ServerReflectionResponse.encode(message).finish(), next);
        };
        return {
          message(request) {
            if (waiting.length >= CONTROL.reflectionBacklog) {
              throw new RpcError(Status.RESOURCE_EXHAUSTED, 'too many questions without reading the answers');
            }
            waiting.push(request);
            if (!busy) next();
          },
          halfClosed() {
            ended = true;
            if (!busy) next();
          },
          cancelled() {},
        };
      }),
    ],
  }));
}

function answerTo(
  descriptors: Descriptors,
  services: readonly string[],
  request: ServerReflectionRequest,
): Answer {
  const question = request.messageRequest;
  switch (question?.$case) {
    case 'listServices':
      return {
        $case: 'listServicesResponse',
        value: { service: [...services].sort().map(name => ({ name })) },
      };
    case 'fileByFilename':
      return fileAnswer(descriptors, descriptors.byName(question.value), 'file', question.value);
    case 'fileContainingSymbol':
      return fileAnswer(descriptors, descriptors.bySymbol(question.value), 'symbol', question.value);
    case 'allExtensionNumbersOfType':
      // proto3 messages have no extensions.
      if (!descriptors.isMessage(question.value)) return notFound('message', question.value);
      return {
        $case: 'allExtensionNumbersResponse',
        value: { baseTypeName: question.value, extensionNumber: [] },
      };
    case 'fileContainingExtension':
      return notFound('extension of', question.value.containingType);
    default:
      return error(Status.INVALID_ARGUMENT, 'message_request: expected one of its fields');
  }
}

function fileAnswer(
  descriptors: Descriptors,
  file: DescFile | undefined,
  what: string,
  name: string,
): Answer {
  if (file === undefined) return notFound(what, name);
  return {
    $case: 'fileDescriptorResponse',
    value: { fileDescriptorProto: descriptors.closure(file) },
  };
}

function notFound(what: string, name: string): Answer {
  return error(Status.NOT_FOUND, `no ${what} '${name.slice(0, 200)}' here`);
}

function error(code: Status, text: string): Answer {
  return { $case: 'errorResponse', value: { errorCode: code, errorMessage: text } };
}
