/**
 * `heapmesh://` on a copy of grpc-js. Several copies can be in one tree, each with its own registry, and
 * a copy that does not know a scheme takes the target for a DNS name without a word. What can be seen of
 * that from here is said aloud.
 */
import { createRequire } from 'node:module';
import { ClientError } from './error.ts';
import { asGrpcJs, type GrpcModule, type GrpcUri } from './grpc.ts';
import { registerPolicy } from './policy.ts';
import { registerResolver } from './resolver.ts';
import { parseTarget, SCHEME } from './target.ts';

/** By the function that a copy registers resolvers with: its namespace and its default export share that. */
const registered = new WeakSet<object>();
const registeredFiles = new Set<string>();

/**
 * Teaches the given copy of grpc-js targets of the form `heapmesh://HOST:PORT[,HOST:PORT]/SERVICE`. Give
 * the copy that makes the channels; call it once for each. A second call for one copy does nothing.
 *
 * Throws `ClientError` with the code `wrong-grpc`. Warns (`process.emitWarning`, code
 * `HEAPMESH_OTHER_GRPC`) where another copy is loaded on which `heapmesh://` is not registered.
 */
export function registerHeapmesh(module: GrpcModule): void {
  const grpc = asGrpcJs(module);
  const mark: object = grpc.experimental.registerResolver;
  if (registered.has(mark)) return;
  registered.add(mark);
  const resolved = new Set<string>();
  registerResolver(grpc, registerPolicy(grpc), {
    onTarget: uri => warnOfProxy(uri, resolved),
    onResolver: uri => resolved.add(uri.path),
  });
  for (const file of loadedCopies()) if (isCopy(file, mark)) registeredFiles.add(file);
  warnOfCopies();
  // Copies that are loaded after this one.
  setTimeout(warnOfCopies, 1_000).unref();
}

/**
 * Throws `ClientError` with the code `wrong-grpc` where a channel with a `heapmesh://` target was made
 * by a copy of grpc-js that does not know the scheme. A client of grpc-js gives its channel by
 * `client.getChannel()`; nice-grpc's `createChannel` returns one.
 */
export function requireHeapmesh(channel: { getTarget(): string }): void {
  const target = channel.getTarget();
  if (target.startsWith(`${SCHEME}:`)) return;
  if (target.includes(`${SCHEME}:`)) {
    throw new ClientError(
      'wrong-grpc',
      `this channel takes its target for a DNS name (${target}): it was made by another copy of grpc-js ` +
        'than the one handed to registerHeapmesh. Hand in the copy that makes the channel, or leave one ' +
        'copy in the tree (npm ls @grpc/grpc-js).',
    );
  }
  throw new ClientError('wrong-grpc', `the target of this channel is ${target}, none of ${SCHEME}://`);
}

let warned = '';

function warnOfCopies(): void {
  const strangers = loadedCopies().filter(file => !registeredFiles.has(file));
  const key = strangers.join('\n');
  if (strangers.length === 0 || key === warned) return;
  warned = key;
  process.emitWarning(
    `several copies of grpc-js are loaded, and ${SCHEME}:// is not registered on: ${strangers.join(', ')}. ` +
      `Registered on: ${[...registeredFiles].join(', ') || 'a copy that is no CommonJS file'}. A channel made ` +
      `by the others would take the target for a DNS name.`,
    { code: 'HEAPMESH_OTHER_GRPC' },
  );
}

/** Main files of all copies of grpc-js that this process has loaded as CommonJS. */
function loadedCopies(): string[] {
  const { cache } = createRequire(import.meta.url);
  return Object.keys(cache).filter(file => /[\\/]grpc-js[\\/]build[\\/]src[\\/]index\.js$/.test(file));
}

function isCopy(file: string, mark: object): boolean {
  const exported = createRequire(import.meta.url).cache[file]?.exports as
    | { experimental?: { registerResolver?: object } }
    | undefined;
  return exported?.experimental?.registerResolver === mark;
}

/**
 * grpc-js sends every target but `unix:` through the HTTP proxy of the environment, ours included: the
 * channel then connects to the proxy and asks no resolver. The authority is asked for just before.
 */
function warnOfProxy(uri: GrpcUri, resolved: ReadonlySet<string>): void {
  parseTarget(uri);
  const { grpc_proxy, https_proxy, http_proxy } = process.env;
  if (!(grpc_proxy || https_proxy || http_proxy) || resolved.has(uri.path)) return;
  queueMicrotask(() => {
    if (resolved.has(uri.path)) return;
    process.emitWarning(
      `a channel to ${SCHEME}://${uri.authority ?? ''}/${uri.path} goes to the HTTP proxy of the environment ` +
        `instead. Give it the channel option 'grpc.enable_http_proxy': 0, or set no_grpc_proxy.`,
      { code: 'HEAPMESH_HTTP_PROXY' },
    );
  });
}
