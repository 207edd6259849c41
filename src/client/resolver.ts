/** The resolver of `heapmesh://` targets: a list of servers that a balancer streams. */
import type { ChannelCredentials } from '@grpc/grpc-js';
import { ANY_SERVICE } from '../core/core.ts';
import { type Directory, sharedDirectory } from './directory.ts';
import { ClientError } from './error.ts';
import type { ChannelOptions, GrpcJs, GrpcUri, ResolverListener } from './grpc.ts';
import type { Handover } from './policy.ts';
import { serviceConfigOf } from './service-config.ts';
import { OPTION, parseTarget, SCHEME, type WatchTarget } from './target.ts';

export interface ResolverHooks {
  /** A channel asks for its authority, before it makes its resolver. Throws where the target is no good. */
  readonly onTarget: (uri: GrpcUri) => void;
  readonly onResolver: (uri: GrpcUri) => void;
}

/** Registers the resolver; `attribute` is where the policy looks for its `Handover`. */
export function registerResolver(grpc: GrpcJs, attribute: string, hooks: ResolverHooks): void {
  const { experimental } = grpc;

  class HeapmeshResolver {
    readonly #listener: ResolverListener;
    readonly #target: WatchTarget;
    readonly #credentials: ChannelCredentials;
    readonly #config: ReturnType<typeof serviceConfigOf>;
    #directory: Directory | undefined;
    #giveBack = () => {};
    #unlisten = () => {};
    #reported = '';

    constructor(uri: GrpcUri, listener: ResolverListener, options: ChannelOptions) {
      hooks.onResolver(uri);
      this.#listener = listener;
      this.#target = parseTarget(uri, options);
      this.#credentials = credentialsOf(grpc, options);
      this.#config = serviceConfigOf(options['grpc.service_config']);
    }

    /** grpc-js asks again and again while a channel cannot connect; the watch goes on by itself. */
    updateResolution(): void {
      if (this.#directory !== undefined) return;
      const { directory, giveBack } = sharedDirectory(grpc, this.#target, this.#credentials);
      this.#directory = directory;
      this.#giveBack = giveBack;
      this.#unlisten = directory.listen({
        changed: () => {},
        removed: () => {},
        settled: () => this.#report(directory),
      });
      // A list that another channel has got is there at once, yet never within this call.
      process.nextTick(() => this.#report(directory));
    }

    destroy(): void {
      this.#unlisten();
      this.#giveBack();
      this.#directory = undefined;
      this.#unlisten = () => {};
      this.#giveBack = () => {};
      this.#reported = '';
    }

    static getDefaultAuthority(uri: GrpcUri): string {
      hooks.onTarget(uri);
      const { service } = parseTarget(uri);
      return service === ANY_SERVICE ? SCHEME : service;
    }

    #report(directory: Directory): void {
      if (this.#directory !== directory) return;
      const { config, ours } = this.#config;
      const handover: Handover = { directory, target: this.#target };
      const attributes = { [attribute]: handover };
      const serviceConfig = experimental.statusOrFromValue(config);
      if (directory.listed) {
        // Our policy follows the list by itself; others need it anew with every change.
        if (ours && this.#reported === 'listed') return;
        const endpoints = directory.endpoints();
        const state = ours ? 'listed' : JSON.stringify(endpoints);
        if (state === this.#reported) return;
        this.#reported = state;
        this.#listener(experimental.statusOrFromValue(endpoints), attributes, serviceConfig, '');
      } else if (directory.failure !== '') {
        this.#reported = '';
        const details = `no list of the servers of ${directory.service}: ${directory.failure}`;
        const error = experimental.statusOrFromError<never>({ code: grpc.status.UNAVAILABLE, details });
        this.#listener(error, attributes, serviceConfig, '');
      }
    }
  }

  experimental.registerResolver(SCHEME, HeapmeshResolver);
}

function credentialsOf(grpc: GrpcJs, options: ChannelOptions): ChannelCredentials {
  const given: unknown = options[OPTION.credentials];
  if (given === undefined) return grpc.credentials.createInsecure();
  if (given instanceof grpc.ChannelCredentials) return given;
  throw new ClientError(
    'invalid-options',
    `${OPTION.credentials} must be ChannelCredentials made by the copy of grpc-js that makes the channel`,
  );
}
