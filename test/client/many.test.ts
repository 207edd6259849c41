/** More servers than a channel connects to by itself. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type * as grpc from '@grpc/grpc-js';
import { Connections } from '../../src/client/connections.ts';
import type { Directory, DirectoryListener, Known } from '../../src/client/directory.ts';
import { Connectivity, type ControlHelper, type Subchannel } from '../../src/client/grpc.ts';
import { CallerTable } from '../../src/client/table.ts';
import { CALLER_LIMITS } from '../../src/core/limits.ts';
import type { Pool } from '../../src/core/pool.ts';
import { SERVICE } from './support.ts';

type Listener = Parameters<Subchannel['addConnectivityStateListener']>[0];

/** A subchannel that does what the test says. */
class FakeSubchannel {
  state: number = Connectivity.IDLE;
  refs = 0;
  starts = 0;
  listener: Listener | undefined;
  readonly options: grpc.ChannelOptions;
  constructor(options: grpc.ChannelOptions) {
    this.options = options;
  }
  become(state: number, why?: string): void {
    const before = this.state;
    this.state = state;
    this.listener?.(this as never, before, state, 0, why);
  }
  getConnectivityState(): number {
    return this.state;
  }
  addConnectivityStateListener(listener: Listener): void {
    this.listener = listener;
  }
  removeConnectivityStateListener(): void {
    this.listener = undefined;
  }
  startConnecting(): void {
    this.starts++;
  }
  ref(): void {
    this.refs++;
  }
  unref(): void {
    this.refs--;
  }
  getChannelzRef(): undefined {
    return undefined;
  }
}

describe('connections to many servers', () => {
  let table: CallerTable;
  let pool: Pool;
  let made: Map<number, FakeSubchannel>;
  let known: Map<string, Known>;
  let listener: DirectoryListener;
  let changes: number;

  function server(index: number, zone = '', state: Known['told'] = 'ACTIVE'): Known {
    const id = `s${index}`;
    const spec = {
      id,
      address: `10.0.0.1:${index + 1}`,
      services: [SERVICE],
      weight: 1,
      zone,
      labels: {},
      maxConcurrency: 0,
      standby: false,
    };
    const view = {
      spec,
      state,
      cause: '',
      stateTime: 0,
      sources: [],
      healthy: true,
      weightOverridden: false,
      version: 1,
    };
    const row = known.get(id)?.row ?? table.hold(id);
    return { row, host: '10.0.0.1', port: index + 1, view, told: state, confirmed: true };
  }

  function connections(servers: Known[], clientId = 'me', zone = ''): Connections {
    known = new Map(servers.map(one => [one.row.id, one]));
    const directory = {
      table,
      servers: () => known.values(),
      listen: (given: DirectoryListener) => {
        listener = given;
        return () => {};
      },
    } as unknown as Directory;
    const helper = {
      createSubchannel: (address: { port: number }, options: grpc.ChannelOptions) => {
        const subchannel = new FakeSubchannel(options);
        made.set(address.port, subchannel);
        return subchannel;
      },
      addChannelzChild() {},
      removeChannelzChild() {},
    } as unknown as ControlHelper;
    return new Connections({
      helper,
      directory,
      pool,
      subchannelOptions: {},
      zone,
      clientId,
      onChange: () => changes++,
    });
  }

  const range = (count: number) => [...Array(count).keys()];

  beforeEach(() => {
    table = new CallerTable({ clock: () => performance.now(), random: () => 0.5 });
    pool = table.openPool(SERVICE);
    made = new Map();
    known = new Map();
    changes = 0;
  });
  afterEach(() => table.closePool(pool));

  it('connects to as many as its limit says, the same for one client and others for another', () => {
    const many = range(300).map(index => server(index));
    connections(many);
    const mine = [...made.keys()].sort();
    assert.equal(mine.length, CALLER_LIMITS.eagerConnections);
    made = new Map();
    connections(many);
    assert.deepEqual([...made.keys()].sort(), mine);
    made = new Map();
    connections(many, 'another');
    const shared = [...made.keys()].filter(port => mine.includes(port)).length;
    assert.ok(shared > 10 && shared < 60, `${shared} shared, a third of 100 expected`);
  });

  it('takes its own zone first', () => {
    const many = range(300).map(index => server(index, index % 10 === 0 ? 'z1' : 'z2'));
    connections(many, 'me', 'z1');
    for (let index = 0; index < 300; index += 10) assert.ok(made.has(index + 1), `s${index}`);
    assert.equal(made.size, CALLER_LIMITS.eagerConnections);
  });

  it('opens one more where load asks for it, one at a time', () => {
    const all = connections(range(103).map(index => server(index)));
    const limit = CALLER_LIMITS.eagerConnections;
    all.more();
    assert.equal(made.size, limit, 'not while others are on their way');
    for (const one of made.values()) one.become(Connectivity.READY);
    assert.equal(pool.size, limit);
    all.more();
    all.more();
    assert.equal(made.size, limit + 1);
    for (const one of made.values()) one.become(Connectivity.READY);
    all.more();
    assert.equal(made.size, limit + 2);
    assert.deepEqual(all.tally(), { ready: limit + 1, connecting: 1, failing: 0, waiting: 1 });
  });

  it('goes to the next where one cannot be reached, and keeps trying that one', () => {
    const all = connections(range(101).map(index => server(index)));
    const limit = CALLER_LIMITS.eagerConnections;
    const [bad] = made.values();
    const before = bad?.starts ?? 0;
    bad?.become(Connectivity.TRANSIENT_FAILURE, 'refused');
    assert.equal(made.size, limit + 1);
    assert.equal(all.lastError, 'refused');
    assert.equal(bad?.starts, before + 1);
    bad?.become(Connectivity.CONNECTING);
    assert.equal(all.tally().failing, 1, 'failing until it stands');
    bad?.become(Connectivity.READY);
    assert.deepEqual(all.tally(), { ready: 1, connecting: limit, failing: 0, waiting: 0 });
  });

  it('is in the pool exactly while its connection stands', () => {
    const all = connections([server(0)]);
    const only = made.get(1) as FakeSubchannel;
    const { slot } = (known.get('s0') as Known).row;
    assert.equal(all.at(slot), undefined);
    assert.equal(pool.size, 0);
    only.become(Connectivity.READY);
    assert.equal(all.at(slot), only);
    assert.equal(pool.size, 1);
    const starts = only.starts;
    only.become(Connectivity.IDLE);
    assert.equal(all.at(slot), undefined);
    assert.equal(pool.size, 0);
    assert.equal(only.starts, starts + 1);
    assert.ok(changes >= 2);
  });

  it('does not connect again to one that takes no calls, until it does', () => {
    connections([server(0)]);
    const only = made.get(1) as FakeSubchannel;
    only.become(Connectivity.READY);
    listener.changed(server(0, '', 'EJECTED'));
    listener.settled();
    const starts = only.starts;
    only.become(Connectivity.IDLE);
    only.become(Connectivity.TRANSIENT_FAILURE);
    only.become(Connectivity.IDLE);
    assert.equal(only.starts, starts);
    listener.changed(server(0));
    assert.equal(only.starts, starts + 1);
  });

  it('does not connect again to one that a new list does not name', () => {
    const doubted = server(0);
    const all = connections([doubted, server(1)]);
    const one = made.get(1) as FakeSubchannel;
    one.become(Connectivity.READY);
    doubted.confirmed = false;
    listener.settled();
    assert.equal(pool.size, 1);
    const starts = one.starts;
    one.become(Connectivity.IDLE);
    assert.equal(one.starts, starts);
    assert.deepEqual(all.tally(), { ready: 0, connecting: 1, failing: 0, waiting: 0 }, 'nobody waits for it');
  });

  it('gives every connection back, by itself or at the end', () => {
    const all = connections(range(3).map(index => server(index)));
    for (const one of made.values()) one.become(Connectivity.READY);
    listener.removed(known.get('s1') as Known);
    assert.equal(pool.size, 2);
    all.close();
    assert.equal(pool.size, 0);
    for (const one of made.values()) {
      assert.equal(one.refs, 0);
      assert.equal(one.listener, undefined);
    }
  });

  it('has certificates checked against the server, unless the channel names another', () => {
    connections([server(0)]);
    assert.equal(made.get(1)?.options['grpc.ssl_target_name_override'], '10.0.0.1');
  });
});
