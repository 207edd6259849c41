/** Which way imports go between the folders of `src/`: the one table of it. */

/** No sockets, timers, clock, randomness or environment: these come in as arguments. */
export const PURE = ['core', 'http2', 'grpc'];

/** Modules of Node without I/O, clock or randomness: all that a pure folder may use. */
export const PURE_MODULES = ['node:assert', 'node:buffer', 'node:diagnostics_channel'];

/**
 * Folders with rules of their own, and what they may import. All others may import the pure folders,
 * `gen`, and each other's interface: the file named like the folder.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  // Its limits are in core/limits.ts; the engine knows neither gRPC nor backends.
  http2: ['core'],
  grpc: ['core', 'http2'],
  gen: [],
  // The SDKs: a user's process loads these and nothing of the balancer.
  client: ['core', 'http2', 'grpc', 'gen'],
  backend: ['core', 'http2', 'grpc', 'gen'],
  // The composition root.
  cli: ['*'],
};

/** The interface of a folder where it is not the file named like it. */
export const INTERFACE: Readonly<Record<string, string>> = { state: 'log.ts' };

/** Packages that only these folders may import. A package that is not here is free, but not for SDKs and pure folders. */
export const ONLY_IN: readonly { package: RegExp; folders: readonly string[] }[] = [
  { package: /^@opentelemetry\//, folders: ['telemetry'] },
  { package: /^pino(-|$)/, folders: ['telemetry'] },
  { package: /^commander$/, folders: ['cli'] },
  { package: /^(zod|yaml)$/, folders: ['config'] },
];

/** All that a user's process loads for an SDK. */
export const SDK_PACKAGES = ['@grpc/grpc-js', '@bufbuild/protobuf'];
export const SDKS = ['client', 'backend'];

/**
 * What is built for browsers, with all that it imports in it: packages that users need not have, and of the rest of
 * `src/` these files alone. Nothing else imports it.
 */
export const BUNDLED = {
  folder: 'src/admin/console',
  packages: ['preact', 'uplot'],
  files: ['src/admin/wire.ts', 'src/core/core.ts'],
} as const;

/** What users and programs start from: their exports are public, and what they reach is alive. */
export const ENTRIES = [
  'src/index.ts',
  'src/client/client.ts',
  'src/backend/backend.ts',
  'src/cli/main.ts',
  // The demo starts these as processes.
  'src/cli/demo/backend-process.ts',
  'src/cli/demo/caller-process.ts',
  // The console's page loads it.
  'src/admin/console/main.tsx',
];

/** Exports that nothing in `src/` imports, as `path#name`, each with the reason why it is one all the same. */
export const ALLOWED_EXPORTS: ReadonlyMap<string, string> = new Map([
  ['src/config/reference.ts#listKeys', 'scripts/docs.ts renders the reference of the configuration from it'],
]);
