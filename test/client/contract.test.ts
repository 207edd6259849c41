/**
 * What the SDK takes for granted of grpc-js, which its types do not say and a minor version may change:
 * each is looked at by itself, with a resolver and a policy of the test's own.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, beforeEach, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { asGrpcJs, type PickResult, type ResolverListener, type Subchannel } from '../../src/client/grpc.ts';
import { Backend, ECHO, eventually, SERVICE, talk, who } from './support.ts';

const { experimental } = grpc;
const EXCLUDED = `${experimental.SUBCHANNEL_ARGS_EXCLUDE_KEY_PREFIX}.contract`;

/** What the probe policy saw and does. */
const probe = {
  log: [] as string[],
  uri: undefined as unknown,
  resolverOptions: undefined as unknown,
  policyOptions: undefined as grpc.ChannelOptions | undefined,
  helper: undefined as experimentalHelper | undefined,
  listener: undefined as ResolverListener | undefined,
  subchannel: undefined as Subchannel | undefined,
  address: { host: '127.0.0.1', port: 0 },
  subchannelArgs: {} as grpc.ChannelOptions,
  onPick: undefined as ((metadata: grpc.Metadata) => void) | undefined,
  ended: [] as [number, string, grpc.Metadata][],
};
type experimentalHelper = grpc.experimental.ChannelControlHelper;

class ProbeResolver {
  constructor(uri: grpc.experimental.GrpcUri, listener: ResolverListener, options: grpc.ChannelOptions) {
    probe.uri = uri;
    probe.resolverOptions = options;
    probe.listener = listener;
  }
  updateResolution(): void {
    probe.log.push('resolve');
    const config = { loadBalancingConfig: [{ contract_probe: {} }], methodConfig: [] };
    process.nextTick(() =>
      probe.listener?.(
        experimental.statusOrFromValue([{ addresses: [probe.address] }]),
        { [EXCLUDED]: probe },
        experimental.statusOrFromValue(config),
        'a note',
      ),
    );
  }
  destroy(): void {
    probe.log.push('resolver destroyed');
  }
  static getDefaultAuthority(): string {
    return 'contract.authority';
  }
}

class ProbeConfig {
  static createFromJson(): ProbeConfig {
    return new ProbeConfig();
  }
  getLoadBalancerName(): string {
    return 'contract_probe';
  }
  toJsonObject(): object {
    return { contract_probe: {} };
  }
}

class ProbePolicy {
  readonly helper: experimentalHelper;
  constructor(helper: experimentalHelper) {
    this.helper = helper;
    probe.helper = helper;
  }
  updateAddressList(
    endpoints: grpc.experimental.StatusOr<grpc.experimental.Endpoint[]>,
    config: unknown,
    options: grpc.ChannelOptions,
    note: string,
  ): boolean {
    assert.ok(config instanceof ProbeConfig);
    assert.deepEqual(endpoints.ok && endpoints.value, [{ addresses: [probe.address] }]);
    assert.equal(note, 'a note');
    probe.policyOptions = options;
    const subchannel = this.helper.createSubchannel(probe.address, { ...options, ...probe.subchannelArgs });
    subchannel.ref();
    probe.subchannel = subchannel;
    const pick = ({ metadata }: { metadata: grpc.Metadata }): PickResult => {
      probe.log.push('pick');
      probe.onPick?.(metadata);
      return {
        pickResultType: experimental.PickResultType.COMPLETE,
        subchannel,
        status: null,
        onCallStarted: () => probe.log.push('started'),
        onCallEnded: (...given) => {
          probe.log.push('ended');
          probe.ended.push(given);
        },
      };
    };
    const queue = {
      pick: () => {
        probe.log.push('queue');
        return queued;
      },
    };
    const queued: PickResult = {
      pickResultType: experimental.PickResultType.QUEUE,
      subchannel: null,
      status: null,
      onCallStarted: null,
      onCallEnded: null,
    };
    const { READY, CONNECTING } = grpc.connectivityState;
    subchannel.addConnectivityStateListener((_real, _before, state) => {
      probe.log.push(grpc.connectivityState[state] ?? '?');
      if (state === READY) this.helper.updateState(READY, { pick }, null);
    });
    this.helper.updateState(CONNECTING, queue, null);
    subchannel.startConnecting();
    return true;
  }
  exitIdle(): void {}
  resetBackoff(): void {}
  destroy(): void {
    probe.log.push('policy destroyed');
    probe.subchannel?.unref();
  }
  getTypeName(): string {
    return 'contract_probe';
  }
}

describe('grpc-js extension points', () => {
  let backend: Backend;
  const clients: grpc.Client[] = [];
  const channel = (options: grpc.ChannelOptions = {}, target = 'contract://one:1,two:2/some.Service?x=1') => {
    const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      ...options,
    });
    clients.push(client);
    return client;
  };

  before(async () => {
    experimental.registerResolver('contract', ProbeResolver);
    experimental.registerLoadBalancerType('contract_probe', ProbePolicy, ProbeConfig);
    backend = await Backend.start('a');
    probe.address = { host: '127.0.0.1', port: backend.port };
  });
  beforeEach(() => {
    Object.assign(probe, { log: [], ended: [], onPick: undefined, subchannelArgs: {} });
    for (const client of clients.splice(0)) client.close();
    probe.log.length = 0;
  });
  after(() => {
    for (const client of clients) client.close();
    backend.kill();
  });

  it('is of a version that this SDK was written for', () => {
    const require = createRequire(import.meta.url);
    const file = require.resolve('@grpc/grpc-js').replace(/build[\\/]src[\\/]index\.js$/, 'package.json');
    const { version } = JSON.parse(readFileSync(file, 'utf8'));
    assert.match(version, /^1\.14\.([4-9]|\d\d)/, 'read the changes of grpc-js, then widen the peer range');
    assert.doesNotThrow(() => asGrpcJs(grpc));
    // biome-ignore lint/suspicious/noExplicitAny: a default import is another object with the same content
    assert.doesNotThrow(() => asGrpcJs((grpc as any).default));
  });

  it('gives scheme, authority and path of a target with several hosts, and the options', async () => {
    const client = channel({ 'heapmesh.zone': 'z1' });
    await who(client);
    assert.deepEqual(
      { ...(probe.uri as object) },
      {
        scheme: 'contract',
        authority: 'one:1,two:2',
        path: 'some.Service?x=1',
      },
    );
    assert.equal((probe.resolverOptions as grpc.ChannelOptions)['heapmesh.zone'], 'z1');
    assert.equal(client.getChannel().getTarget(), 'contract://one:1,two:2/some.Service?x=1');
    assert.equal(backend.hosts.at(-1), 'contract.authority');
  });

  it('hands attributes of the resolver to the policy, and the channel options with them', async () => {
    await who(channel({ 'heapmesh.zone': 'z1' }));
    assert.equal(probe.policyOptions?.[EXCLUDED], probe);
    assert.equal(probe.policyOptions?.['heapmesh.zone'], 'z1');
  });

  it('asks the resolver when a call comes, queues it, and picks once the policy says READY', async () => {
    await who(channel());
    const order = ['resolve', 'queue', 'READY', 'pick', 'started', 'ended'];
    assert.deepEqual(
      probe.log.filter(one => order.includes(one)),
      order,
    );
  });

  it('begins a picked call without call credentials before an immediate', async () => {
    const client = channel();
    await who(client);
    probe.log.length = 0;
    const done = who(client);
    await new Promise(resolve => setImmediate(resolve));
    await new Promise(resolve => setImmediate(resolve));
    assert.deepEqual(probe.log.slice(0, 2), ['pick', 'started']);
    await done;
  });

  it('tells the end once, with status, details and trailers', async () => {
    const client = channel();
    backend.handler = (_call, done) => {
      const trailers = new grpc.Metadata();
      trailers.set('endpoint-load-metrics-bin', Buffer.from([1, 2]));
      done({ code: grpc.status.ABORTED, details: 'no', metadata: trailers });
    };
    await assert.rejects(who(client), { code: grpc.status.ABORTED });
    backend.handler = undefined;
    assert.equal(probe.ended.length, 1);
    const [status, details, metadata] = probe.ended[0] as (typeof probe.ended)[0];
    assert.equal(status, grpc.status.ABORTED);
    assert.equal(details, 'no');
    assert.deepEqual(metadata.get('endpoint-load-metrics-bin'), [Buffer.from([1, 2])]);
  });

  it('tells the end of a stream only when it ends, and of one that is cancelled', async () => {
    const client = channel();
    const { call } = await talk(client);
    assert.equal(probe.ended.length, 0);
    call.cancel();
    await eventually(() => probe.ended.length === 1, 'the end of the stream');
    assert.equal(probe.ended[0]?.[0], grpc.status.CANCELLED);
  });

  it('sends the metadata that the picker was given, as the picker left it', async () => {
    probe.onPick = metadata => {
      assert.deepEqual(metadata.get('heapmesh-hash-key'), ['k']);
      metadata.remove('heapmesh-hash-key');
      metadata.set('added', 'yes');
    };
    const metadata = new grpc.Metadata();
    metadata.set('heapmesh-hash-key', 'k');
    await who(channel(), { metadata });
    const seen = backend.seen.at(-1);
    assert.deepEqual(seen?.get('heapmesh-hash-key'), []);
    assert.deepEqual(seen?.get('added'), ['yes']);
    assert.deepEqual(metadata.get('heapmesh-hash-key'), ['k'], 'the caller keeps its own');
  });

  it('tells nobody of a picked call that is cancelled before its credentials are made', async () => {
    const client = channel();
    await who(client);
    probe.log.length = 0;
    let generating = () => {};
    const asked = new Promise<void>(resolve => {
      generating = resolve;
    });
    const credentials = grpc.credentials.createFromMetadataGenerator(() => generating());
    const bytes = (value: Buffer) => value;
    const call = client.makeUnaryRequest(
      ECHO.who.path,
      bytes,
      bytes,
      Buffer.alloc(0),
      { credentials },
      () => {},
    );
    const ended = new Promise(resolve => call.on('status', resolve));
    await asked;
    call.cancel();
    await ended;
    assert.deepEqual(
      probe.log,
      ['pick'],
      'if this is told now, the picker need not look for such calls itself',
    );
  });

  it('keeps arguments with the excluding prefix from telling subchannels apart, and no others', async () => {
    await who(channel({ 'grpc.use_local_subchannel_pool': 0 }));
    const helper = probe.helper as experimentalHelper;
    const options = probe.policyOptions ?? {};
    const first = probe.subchannel as Subchannel;
    const same = helper.createSubchannel(probe.address, { ...options, [EXCLUDED]: {} });
    const other = helper.createSubchannel(probe.address, {
      ...options,
      'grpc.ssl_target_name_override': 'x',
    });
    assert.ok(first.realSubchannelEquals(same));
    assert.ok(!first.realSubchannelEquals(other));
  });

  it('says IDLE when a connection is lost, and picks again where it is not READY', async () => {
    const own = await Backend.start('b');
    const address = probe.address;
    probe.address = { host: '127.0.0.1', port: own.port };
    try {
      await who(channel());
      own.kill();
      await eventually(() => probe.log.includes('IDLE'), 'IDLE after READY');
    } finally {
      probe.address = address;
    }
  });

  it('destroys the policy, then the resolver, when the channel is closed', async () => {
    const client = channel();
    await who(client);
    probe.log.length = 0;
    client.close();
    assert.deepEqual(probe.log.slice(0, 2), ['policy destroyed', 'resolver destroyed']);
  });

  it('takes a scheme that it does not know for a DNS name', () => {
    const client = channel({}, `unheard-of://127.0.0.1:1/${SERVICE}`);
    assert.equal(client.getChannel().getTarget(), `dns:unheard-of://127.0.0.1:1/${SERVICE}`);
  });

  it('asks for the authority before it makes the resolver, and makes it within the constructor', () => {
    const order: string[] = [];
    class Ordered extends ProbeResolver {
      constructor(...given: ConstructorParameters<typeof ProbeResolver>) {
        super(...given);
        order.push('resolver');
      }
      static override getDefaultAuthority(): string {
        order.push('authority');
        return 'x';
      }
    }
    experimental.registerResolver('contract-order', Ordered);
    channel({}, 'contract-order://h:1/S');
    assert.deepEqual(order, ['authority', 'resolver']);
  });
});
