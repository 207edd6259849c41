/** The pinned tools of other toolchains, a row each. A new one is a row here, and a new kind a function in `kinds.ts`. */
import { debianPackage, goCommand, type Recipe } from './kinds.ts';

const GRPC_GO = '1.85.0';
const GRPCURL = '1.9.4';

export const TOOLS = {
  'grpc-interop-server': {
    what: 'the interop server of grpc-go: a gRPC server that was not written here',
    version: GRPC_GO,
    recipe: goCommand('google.golang.org/grpc/interop/server', GRPC_GO),
  },
  'grpc-interop-client': {
    what: 'the interop client of grpc-go: conformance by code of other authors',
    version: GRPC_GO,
    recipe: goCommand('google.golang.org/grpc/interop/client', GRPC_GO),
  },
  grpcurl: {
    what: "a person's gRPC client, by reflection",
    version: GRPCURL,
    recipe: goCommand('github.com/fullstorydev/grpcurl/cmd/grpcurl', GRPCURL),
  },
  h2load: {
    what: 'the HTTP/2 load generator of nghttp2, for benchmarks',
    version: "the system's",
    recipe: debianPackage('nghttp2-client', 'h2load'),
  },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

export interface Tool {
  /** One line for people. */
  readonly what: string;
  readonly version: string;
  readonly recipe: Recipe;
}
