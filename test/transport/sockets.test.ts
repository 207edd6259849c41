import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { type SocketOwner, Sockets } from '../../src/transport/sockets.ts';

/** Notes what it reads. */
class Owner implements SocketOwner {
  readonly #socket: Socket;
  readonly #sockets: Sockets;
  readonly got: Buffer[] = [];
  octets = 0;
  sends = 0;
  /** Resolves what waits for so many octets. */
  #wanted = Number.POSITIVE_INFINITY;
  #resolve = (): void => {};
  #sent = (): void => {};

  constructor(sockets: Sockets, socket: Socket) {
    this.#sockets = sockets;
    this.#socket = socket;
    sockets.own(socket, this);
  }

  read(buffer: Buffer, start: number, end: number): void {
    this.got.push(Buffer.from(buffer.subarray(start, end)));
    this.octets += end - start;
    if (this.octets >= this.#wanted) this.#resolve();
  }

  sent(): void {
    this.sends++;
    this.#sent();
  }

  /** Resolves when the kernel has it. */
  send(...buffers: Buffer[]): Promise<void> {
    return new Promise(resolve => {
      this.#sent = resolve;
      if (this.#sockets.send(this.#socket, buffers, this)) resolve();
    });
  }

  until(octets: number): Promise<void> {
    return new Promise(resolve => {
      this.#wanted = octets;
      this.#resolve = resolve;
      if (this.octets >= octets) resolve();
    });
  }

  get all(): Buffer {
    return Buffer.concat(this.got);
  }
}

async function pair(
  sockets: Sockets,
): Promise<{ near: Owner; far: Owner; close: () => void; ends: Socket[] }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  const mine = new Owner(sockets, near);
  const accepted = once(server, 'connection');
  const [far] = (await accepted) as [Socket];
  const theirs = new Owner(sockets, far);
  if (near.connecting) await once(near, 'connect');
  near.on('error', () => {});
  far.on('error', () => {});
  const close = () => {
    near.destroy();
    far.destroy();
    server.close();
  };
  return { near: mine, far: theirs, close, ends: [near, far] };
}

function ended(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()));
}

test('the inside of sockets is as expected in this Node', () => {
  assert.equal(new Sockets(true).direct, true);
  assert.equal(new Sockets(false).direct, false);
});

for (const direct of [true, false]) {
  const way = direct ? 'directly' : 'by documented means alone';

  test(`sockets, ${way}: octets come as they were sent, both ways, in order`, async () => {
    const { near, far, close } = await pair(new Sockets(direct));
    try {
      await near.send(Buffer.from('one '));
      await near.send(Buffer.from('two '), Buffer.from('three '), Buffer.from('four'));
      await far.until(18);
      assert.equal(far.all.toString(), 'one two three four');
      await far.send(Buffer.from('back'));
      await near.until(4);
      assert.equal(near.all.toString(), 'back');
    } finally {
      close();
    }
  });

  test(`sockets, ${way}: what the kernel does not take at once is told when it has it`, async () => {
    const { near, far, close, ends } = await pair(new Sockets(direct));
    try {
      const big = Buffer.alloc(24 * 1024 ** 2);
      for (let i = 0; i < big.length; i += 4) big.writeUInt32LE(i, i);
      ends[1]?.pause();
      let done = false;
      const sending = near.send(big.subarray(0, 7), big.subarray(7)).then(() => {
        done = true;
      });
      await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
      assert.equal(done, false, 'more than any socket buffer holds');
      // Others write meanwhile.
      await far.send(Buffer.from('hello'));
      await near.until(5);
      ends[1]?.resume();
      await Promise.all([sending, far.until(big.length)]);
      assert.equal(near.sends, 1);
      assert.ok(far.all.equals(big));
      await near.send(Buffer.from('more'));
      await far.until(big.length + 4);
    } finally {
      close();
    }
  });

  test(`sockets, ${way}: a peer that closes shows, in peace and by reset`, async () => {
    const sockets = new Sockets(direct);
    for (const reset of [false, true]) {
      const { near, far, close, ends } = await pair(sockets);
      try {
        await near.send(Buffer.from('last words'));
        await far.until(10);
        const closed = ended(ends[1] as Socket);
        if (reset) ends[0]?.resetAndDestroy();
        else ends[0]?.end();
        await closed;
        assert.equal(ends[1]?.destroyed, true);
      } finally {
        close();
      }
    }
  });

  test(`sockets, ${way}: a write to a peer that is gone is an error of its socket alone`, async () => {
    const sockets = new Sockets(direct);
    const first = await pair(sockets);
    const second = await pair(sockets);
    try {
      const big = Buffer.alloc(24 * 1024 ** 2);
      first.ends[1]?.pause();
      void first.near.send(big);
      const closed = ended(first.ends[0] as Socket);
      first.ends[1]?.resetAndDestroy();
      await closed;
      assert.equal(first.ends[0]?.destroyed, true);
      await second.near.send(Buffer.from('fine'));
      await second.far.until(4);
    } finally {
      first.close();
      second.close();
    }
  });

  test(`sockets, ${way}: many read into one buffer and each gets its own`, async () => {
    const sockets = new Sockets(direct);
    const pairs = await Promise.all(Array.from({ length: 20 }, () => pair(sockets)));
    try {
      await Promise.all(pairs.map(({ near }, i) => near.send(Buffer.from(`for number ${100 + i}`))));
      await Promise.all(pairs.map(({ far }) => far.until(14)));
      for (const [i, { far }] of pairs.entries()) assert.equal(far.all.toString(), `for number ${100 + i}`);
    } finally {
      for (const { close } of pairs) close();
    }
  });
}
