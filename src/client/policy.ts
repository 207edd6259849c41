/** The load-balancing policy `heapmesh` of grpc-js: our heap over a channel's connections. */
import type { ServerState } from '../core/core.ts';
import type { Pool } from '../core/pool.ts';
import { Connections } from './connections.ts';
import type { Directory } from './directory.ts';
import {
  type ChannelOptions,
  Connectivity,
  type ControlHelper,
  type EndpointsOrError,
  type GrpcJs,
  type LbConfig,
  type LoadBalancer,
  type Picker,
  PickKind,
  type PickResult,
} from './grpc.ts';
import { HeapPicker } from './picker.ts';
import type { WatchTarget } from './target.ts';

export const POLICY = 'heapmesh';

/** What the resolver hands the policy, in the channel's attributes. */
export interface Handover {
  readonly directory: Directory;
  readonly target: WatchTarget;
}

/** Registers the policy on a copy of grpc-js; returns the attribute in which it looks for its `Handover`. */
export function registerPolicy(grpc: GrpcJs): string {
  const { experimental } = grpc;
  // Attributes with this prefix do not tell connections apart.
  const attribute = `${experimental.SUBCHANNEL_ARGS_EXCLUDE_KEY_PREFIX}.heapmesh`;

  class HeapmeshConfig implements LbConfig {
    static createFromJson(_json: unknown): HeapmeshConfig {
      return new HeapmeshConfig();
    }
    getLoadBalancerName(): string {
      return POLICY;
    }
    toJsonObject(): object {
      return { [POLICY]: {} };
    }
  }

  class HeapmeshPolicy extends Policy implements LoadBalancer {
    constructor(helper: ControlHelper) {
      super(grpc, helper);
    }
    updateAddressList(endpoints: EndpointsOrError, config: LbConfig, options: ChannelOptions): boolean {
      if (config.getLoadBalancerName() !== POLICY) return false;
      this.update(endpoints, options[attribute] as Handover | undefined, options);
      return true;
    }
  }

  experimental.registerLoadBalancerType(POLICY, HeapmeshPolicy, HeapmeshConfig);
  return attribute;
}

class Policy {
  readonly #grpc: GrpcJs;
  readonly #helper: ControlHelper;
  #directory: Directory | undefined;
  #pool: Pool | undefined;
  #connections: Connections | undefined;
  #picker: Picker | undefined;
  /** A call waits, or would wait if it were told to: grpc-js looks at those again only after an update. */
  #hungry = false;
  #feeding = false;
  #state: number = Connectivity.IDLE;

  constructor(grpc: GrpcJs, helper: ControlHelper) {
    this.#grpc = grpc;
    this.#helper = helper;
  }

  update(endpoints: EndpointsOrError, handover: Handover | undefined, options: ChannelOptions): void {
    if (handover === undefined) {
      this.#fail('the policy heapmesh needs a target heapmesh://HOST:PORT/SERVICE');
      return;
    }
    if (!endpoints.ok && !handover.directory.listed) {
      this.#fail(endpoints.error.details ?? '');
      return;
    }
    if (this.#directory !== handover.directory) this.#attach(handover, options);
    this.#refresh();
  }

  exitIdle(): void {}

  resetBackoff(): void {}

  getTypeName(): string {
    return POLICY;
  }

  destroy(): void {
    this.#connections?.close();
    if (this.#pool !== undefined) this.#directory?.table.closePool(this.#pool);
    this.#connections = undefined;
    this.#pool = undefined;
    this.#directory = undefined;
    this.#picker = undefined;
  }

  #attach({ directory, target }: Handover, options: ChannelOptions): void {
    this.destroy();
    this.#directory = directory;
    const { table } = directory;
    const pool = table.openPool(directory.service);
    this.#pool = pool;
    const subchannelOptions = Object.fromEntries(
      Object.entries(options).filter(([key]) => !key.startsWith('heapmesh.')),
    );
    const { zone, clientId } = target;
    const connections = new Connections({
      helper: this.#helper,
      directory,
      pool,
      subchannelOptions,
      zone,
      clientId,
      onChange: () => this.#refresh(),
    });
    this.#connections = connections;
    this.#picker = new HeapPicker({
      table,
      pool,
      connections,
      zone,
      refuse: () => this.#refuse(),
      onEnd: () => {
        if (this.#hungry) this.#feed();
      },
    });
  }

  /** Tells grpc-js where the channel stands, if that has changed or somebody waits for it. */
  #refresh(): void {
    const picker = this.#picker;
    const tally = this.#connections?.tally();
    if (picker === undefined || tally === undefined) return;
    let state: number = Connectivity.TRANSIENT_FAILURE;
    if (tally.ready > 0) state = Connectivity.READY;
    else if (tally.connecting > 0 || tally.waiting > 0) state = Connectivity.CONNECTING;
    if (state === this.#state && !this.#hungry) return;
    this.#state = state;
    this.#hungry = false;
    this.#helper.updateState(state, picker, state === Connectivity.TRANSIENT_FAILURE ? this.#why() : null);
  }

  /** A call ended where others found no room: they are looked at once a turn. */
  #feed(): void {
    if (this.#feeding) return;
    this.#feeding = true;
    setImmediate(() => {
      this.#feeding = false;
      this.#refresh();
    });
  }

  #refuse(): PickResult {
    this.#hungry = true;
    const none = { subchannel: null, onCallStarted: null, onCallEnded: null };
    if (this.#state === Connectivity.CONNECTING) {
      return { pickResultType: PickKind.QUEUE, status: null, ...none };
    }
    return { pickResultType: PickKind.TRANSIENT_FAILURE, status: this.#unavailable(this.#why()), ...none };
  }

  #fail(why: string): void {
    const status = this.#unavailable(why);
    this.#state = Connectivity.TRANSIENT_FAILURE;
    const pick = (): PickResult => ({
      pickResultType: PickKind.TRANSIENT_FAILURE,
      subchannel: null,
      status,
      onCallStarted: null,
      onCallEnded: null,
    });
    this.#helper.updateState(Connectivity.TRANSIENT_FAILURE, { pick }, why);
  }

  #unavailable(details: string) {
    return { code: this.#grpc.status.UNAVAILABLE, details, metadata: new this.#grpc.Metadata() };
  }

  /** Why no call can be made, with the numbers behind it. */
  #why(): string {
    const directory = this.#directory;
    const tally = this.#connections?.tally();
    if (directory === undefined || tally === undefined) return 'the channel is closed';
    const { service, size, balancer, failure } = directory;
    const source = failure === '' ? `balancer ${balancer}` : `balancer gone (${failure})`;
    if (size === 0) return `no servers of ${service}; ${source}`;
    if (tally.ready > 0)
      return `all ${tally.ready} connected servers of ${service} are at their limit; ${source}`;
    const parts: string[] = [];
    const states = new Map<ServerState, number>();
    for (const { view } of directory.servers()) states.set(view.state, (states.get(view.state) ?? 0) + 1);
    for (const state of ['STANDBY', 'DRAINING', 'EJECTED'] as const) {
      const count = states.get(state);
      if (count !== undefined) parts.push(`${count} ${state.toLowerCase()}`);
    }
    if (tally.failing > 0) {
      parts.push(`${tally.failing} not reachable (${this.#connections?.lastError || 'no reason given'})`);
    }
    return `none of the ${size} servers of ${service} takes calls: ${parts.join(', ')}; ${source}`;
  }
}
