/** Types from a server's reflection: `grpc.reflection.v1`, else `v1alpha`, whose messages are the same. */
import type { DescFile } from '@bufbuild/protobuf';
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import * as wkt from '@bufbuild/protobuf/wkt';
import type { Client } from '@grpc/grpc-js';
import {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from '../../gen/grpc/reflection/v1/reflection.ts';
import { Status, statusName } from '../../grpc/status.ts';
import { CliError, Exit } from '../cli.ts';
import { clean } from '../render/style.ts';
import { decodeFile } from './types.ts';

const PATHS = [
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
];

/** Files of one service, imports included; no service needs more, and a server must not make us read for ever. */
const MOST_FILES = 1_000;

type Question = NonNullable<ServerReflectionRequest['messageRequest']>;

/** The server knows reflection, but answered a question with an error. */
class ReflectionRefusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Asks a server for the file that defines a service, and for all that it imports.
 *
 * @throws CliError where it has no reflection or does not know the service.
 */
export async function reflect(
  client: Client,
  service: string,
  server: string,
  timeoutMs: number,
): Promise<FileDescriptorProto[]> {
  const deadline = new Date(Date.now() + timeoutMs);
  for (const path of PATHS) {
    try {
      return await readFiles(client, path, service, deadline);
    } catch (error) {
      const { code } = error as { code?: number };
      if (error instanceof ReflectionRefusal) {
        const why =
          code === Status.NOT_FOUND
            ? `does not know the service ${service}`
            : `answered ${clean(error.message)}`;
        throw new CliError(`the reflection of ${server} ${why}`, Exit.FAILURE, { cause: error });
      }
      if (code === Status.UNIMPLEMENTED) continue;
      if (error instanceof CliError || code === undefined) throw error;
      const details = clean((error as { details?: string }).details ?? '');
      throw new CliError(
        `cannot ask ${server} for its types: ${details} (${statusName(code)})`,
        Exit.FAILURE,
        { cause: error },
      );
    }
  }
  throw new CliError(
    `${server} has no server reflection: give the definitions with --proto FILE and -I FOLDER`,
    Exit.USAGE,
  );
}

async function readFiles(
  client: Client,
  path: string,
  service: string,
  deadline: Date,
): Promise<FileDescriptorProto[]> {
  const stream = client.makeBidiStreamRequest(
    path,
    (request: ServerReflectionRequest) => Buffer.from(ServerReflectionRequest.encode(request).finish()),
    (bytes: Buffer) => ServerReflectionResponse.decode(bytes),
    { deadline },
  );
  const answers = stream[Symbol.asyncIterator]() as AsyncIterator<ServerReflectionResponse>;
  const ask = async (messageRequest: Question): Promise<Uint8Array[]> => {
    stream.write({ host: '', messageRequest });
    const { value, done } = await answers.next();
    const answer = done === true ? undefined : value.messageResponse;
    if (answer?.$case === 'fileDescriptorResponse') return answer.value.fileDescriptorProto;
    if (answer?.$case === 'errorResponse')
      throw new ReflectionRefusal(answer.value.errorCode, answer.value.errorMessage);
    throw new ReflectionRefusal(Status.INTERNAL, 'with something else than a file');
  };

  const files = new Map<string, FileDescriptorProto>();
  const add = (all: readonly Uint8Array[]) => {
    for (const file of all.map(decodeFile)) files.set(file.name, file);
    if (files.size > MOST_FILES) throw new CliError(`${service} imports more than ${MOST_FILES} files`);
  };
  try {
    add(await ask({ $case: 'fileContainingSymbol', value: service }));
    // A map goes on over what is added while it is walked.
    for (const file of files.values()) {
      for (const name of file.dependency) {
        if (files.has(name)) continue;
        const own = wellKnown(name);
        if (own === undefined) add(await ask({ $case: 'fileByFilename', value: name }));
        else files.set(name, own);
      }
    }
    return [...files.values()];
  } finally {
    stream.end();
    // What is still on its way is of no use; its end must not be an unhandled error.
    stream.on('error', () => {});
    stream.cancel();
  }
}

/** Some servers do not hand out what every runtime has. */
function wellKnown(name: string): FileDescriptorProto | undefined {
  const match = /^google\/protobuf\/([a-z_]+)\.proto$/.exec(name);
  const file = (wkt as Record<string, unknown>)[`file_google_protobuf_${match?.[1]}`];
  return (file as DescFile | undefined)?.proto;
}
