/** What `make test` runs, in this order: the quick ones first, then those that need a tool of another toolchain. */
import { filesBelow } from '../lib/project.ts';
import type { ToolName } from '../tools/table.ts';

export interface Suite {
  readonly name: string;
  /** One line for people. */
  readonly what: string;
  /** Commands, each of which is one test; it passes by exit code 0. */
  readonly commands?: readonly (readonly string[])[];
  /** Folders whose `*.test.ts` and `*.conformance.ts` are run by `node:test`. */
  readonly folders?: readonly string[];
  /** Environments that the files are run in, all of them in each; as it is where there are none. */
  readonly variants?: readonly Variant[];
  /** Whether it runs what `make build` puts into `dist/`. */
  readonly built?: boolean;
  /** Tools beyond npm's, installed before the suite starts. A suite with none is a quick one. */
  readonly needs?: readonly ToolName[];
}

export interface Variant {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
}

export const SUITES: readonly Suite[] = [
  {
    name: 'lint',
    what: 'style of the sources (biome)',
    commands: [['biome', 'check', '--error-on-warnings', '.']],
  },
  {
    name: 'types',
    what: 'types of sources, tests, examples, scripts and the console (tsc)',
    commands: [
      ['tsc', '--noEmit'],
      ['tsc', '--noEmit', '-p', 'src/admin/console'],
    ],
  },
  {
    name: 'proto',
    what: 'the public API: lint, breaking changes, third-party numbers (buf)',
    folders: ['test/proto'],
  },
  { name: 'tidy', what: 'rules of the tree: length, imports, purity, dead code', folders: ['test/tidy'] },
  // Every folder that no other suite names, so that a new one is never left out.
  { name: 'unit', what: 'units, properties, and servers on loopback', folders: ['test'] },
  { name: 'package', what: 'the package as npm installs it', folders: ['test/package'], built: true },
  {
    name: 'examples',
    what: 'the examples, run as their readers would',
    folders: ['test/examples'],
    built: true,
  },
  {
    name: 'tracing',
    what: 'traces, read back from a real Jaeger',
    folders: ['test/tracing'],
    needs: ['jaeger'],
  },
  {
    name: 'deploy',
    what: 'container, compose and Kubernetes files, by their linters and schemas',
    folders: ['test/deploy'],
    built: true,
    needs: ['hadolint', 'kubernetes-validate', 'check-jsonschema'],
  },
  {
    name: 'console',
    what: 'the console as a person uses it, in Chromium',
    folders: ['test/console'],
    built: true,
    needs: ['chromium', 'jaeger'],
  },
  { name: 'shells', what: 'completion in zsh', folders: ['test/shells'], needs: ['zsh'] },
  {
    name: 'interop',
    what: 'servers and clients of other authors (grpc-go, grpcurl)',
    folders: ['test/interop'],
    needs: ['grpc-interop-server', 'grpcurl'],
  },
  {
    name: 'metrics',
    what: 'what a real Prometheus makes of metrics, rules and dashboards',
    folders: ['test/metrics'],
    needs: ['prometheus', 'promtool'],
  },
  {
    name: 'kafka',
    what: 'the log on real Kafka brokers, and the instances that share it',
    folders: ['test/kafka'],
    needs: ['kafka', 'ip'],
  },
  {
    name: 'conformance',
    what: 'the proxy by cases that know no proxy: h2spec, gRPC interop, attacks, chaos, take-overs',
    folders: ['test/conformance'],
    variants: [
      { name: 'header blocks remembered', env: { HEAPMESH_TEST_PROXY: 'heapmesh' } },
      { name: 'header blocks not remembered', env: { HEAPMESH_TEST_PROXY: 'heapmesh-plain' } },
    ],
    needs: ['h2spec', 'h2spec-grpc', 'nghttpd', 'grpc-interop-server', 'grpc-interop-client'],
  },
];

const TEST_FILE = /\.(?:test|conformance)\.ts$/;

/** Needs nothing but npm, so that it runs on any machine. */
export function isQuick(suite: Suite): boolean {
  return (suite.needs ?? []).length === 0;
}

/** The test files of a suite; a file belongs to the suite that names the deepest folder above it. */
export function filesOf(suite: Suite, suites: readonly Suite[] = SUITES, all = filesBelow('test')): string[] {
  const folders = suites.flatMap(each => each.folders ?? []);
  const owner = (file: string): string | undefined =>
    folders.filter(folder => file.startsWith(`${folder}/`)).sort((a, b) => b.length - a.length)[0];
  return all.filter(file => TEST_FILE.test(file) && suite.folders?.includes(owner(file) ?? ''));
}
