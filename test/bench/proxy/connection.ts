/** One connection of the load generator: frames out of precomputed bytes, frames in without objects. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Flag, PREFACE, Setting, settings, settingsAck, Type, windowUpdate } from '../../support/h2/wire.ts';
import type { Blocks } from './blocks.ts';

/** Credit for what comes, for the connection and for each stream: none is ever waited for. */
const WINDOW = 2 ** 24;
const FRAME_BYTES = 16_384;

export interface Handlers {
  /** A call has ended with END_STREAM after `bytes` of DATA. */
  done(connection: Connection, call: number, bytes: number): void;
  /** The head of an answer that goes on has come. */
  begun?(connection: Connection, call: number): void;
  /** DATA of a call that goes on. */
  part?(connection: Connection, call: number, bytes: number): void;
  /** A call was reset, or lost with its connection. */
  failed(connection: Connection, call: number, why: string): void;
  /** The connection has ended; its calls were told before. */
  ended?(connection: Connection): void;
}

interface Call {
  readonly number: number;
  bytes: number;
  /** Credit to send. */
  window: number;
}

export class Connection {
  readonly socket: Socket;
  readonly calls = new Map<number, Call>();
  readonly #handlers: Handlers;
  readonly #blocks: Blocks;
  #next = 1;
  #rest: Buffer = Buffer.alloc(0);
  #out: Buffer = Buffer.allocUnsafe(65_536);
  #used = 0;
  #scheduled = false;
  /** Credit to send on the connection, and for new streams. */
  #window = 65_535;
  #initialWindow = 65_535;
  #uncredited = 0;
  #stalled: (() => void)[] = [];
  #ready = Promise.withResolvers<void>();
  goneAway = false;

  private constructor(socket: Socket, blocks: Blocks, handlers: Handlers) {
    this.socket = socket;
    this.#blocks = blocks;
    this.#handlers = handlers;
    socket.setNoDelay(true);
    socket.on('data', chunk => this.#read(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const [, call] of this.calls) handlers.failed(this, call.number, 'its connection ended');
      this.calls.clear();
      handlers.ended?.(this);
    });
    const credit = windowUpdate(0, WINDOW - 65_535);
    socket.write(Buffer.concat([PREFACE, settings([[Setting.INITIAL_WINDOW_SIZE, WINDOW]]), credit]));
  }

  /** Resolves when SETTINGS have come. */
  static async open(address: string, blocks: Blocks, handlers: Handlers): Promise<Connection> {
    const [host, port] = address.split(':');
    const socket = connect(Number(port), host);
    await once(socket, 'connect');
    const connection = new Connection(socket, blocks, handlers);
    const ended = once(socket, 'close').then(() => {
      throw new Error('the connection ended before SETTINGS came');
    });
    ended.catch(() => undefined);
    await Promise.race([connection.#ready.promise, ended]);
    return connection;
  }

  /** Begins call `number`; `body` is its one message, or undefined for a stream that stays open. */
  begin(number: number, body: Buffer | undefined): number {
    const stream = this.#next;
    this.#next += 2;
    const call = { number, bytes: 0, window: this.#initialWindow };
    this.calls.set(stream, call);
    this.#room(4_096);
    const start = this.#used;
    let end = start + 9;
    if (stream === 1) end += this.#blocks.first.copy(this.#out, end);
    else end = this.#blocks.write(this.#out, end, number);
    this.#header(start, end - start - 9, Type.HEADERS, Flag.END_HEADERS, stream);
    this.#used = end;
    if (body !== undefined) this.send(stream, body, true);
    this.#schedule();
    return stream;
  }

  /** DATA of an open stream, as credit allows; what is left waits for more. */
  send(stream: number, body: Buffer, last: boolean): void {
    const call = this.calls.get(stream);
    if (call === undefined) return;
    let at = 0;
    do {
      const size = Math.min(FRAME_BYTES, body.length - at, call.window, this.#window);
      if (size <= 0 && body.length > 0) {
        const rest = body.subarray(at);
        this.#stalled.push(() => this.send(stream, rest, last));
        break;
      }
      this.#room(9 + size);
      const ends = last && at + size === body.length ? Flag.END_STREAM : 0;
      this.#header(this.#used, size, Type.DATA, ends, stream);
      body.copy(this.#out, this.#used + 9, at, at + size);
      this.#used += 9 + size;
      at += size;
      call.window -= size;
      this.#window -= size;
    } while (at < body.length);
    this.#schedule();
  }

  #header(at: number, length: number, type: number, flags: number, stream: number): void {
    const out = this.#out;
    out[at] = length >> 16;
    out[at + 1] = length >> 8;
    out[at + 2] = length;
    out[at + 3] = type;
    out[at + 4] = flags;
    out[at + 5] = stream >>> 24;
    out[at + 6] = stream >> 16;
    out[at + 7] = stream >> 8;
    out[at + 8] = stream;
  }

  #room(bytes: number): void {
    if (this.#used + bytes > this.#out.length) this.#flush();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After what else this turn brings, so that it is one write.
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#used === 0) return;
    if (!this.socket.destroyed) this.socket.write(this.#out.subarray(0, this.#used));
    // The kernel mostly takes all at once; where it does not, the bytes must stay as they are.
    if (this.socket.writableLength > 0 || this.#out.length - this.#used < 16_384) {
      this.#out = Buffer.allocUnsafe(65_536);
    } else {
      this.#out = this.#out.subarray(this.#used);
    }
    this.#used = 0;
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + 9 <= bytes.length) {
      const length =
        ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
      const end = at + 9 + length;
      if (end > bytes.length) break;
      this.#frame(bytes, at, length);
      at = end;
    }
    this.#rest = at === bytes.length ? Buffer.alloc(0) : bytes.subarray(at);
    if (this.#uncredited > WINDOW / 2) {
      this.#control(windowUpdate(0, this.#uncredited));
      this.#uncredited = 0;
    }
  }

  #frame(bytes: Buffer, at: number, length: number): void {
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    if (type === Type.DATA || type === Type.HEADERS) {
      const call = this.calls.get(stream);
      if (type === Type.DATA) this.#uncredited += length;
      if (call === undefined) return;
      if (type === Type.DATA) {
        call.bytes += length;
        this.#handlers.part?.(this, call.number, length);
      }
      if ((flags & Flag.END_STREAM) === 0) {
        if (type === Type.HEADERS) this.#handlers.begun?.(this, call.number);
        return;
      }
      this.calls.delete(stream);
      this.#handlers.done(this, call.number, call.bytes);
    } else if (type === Type.WINDOW_UPDATE) {
      const credit = bytes.readUInt32BE(at + 9);
      if (stream === 0) this.#window += credit;
      else {
        const call = this.calls.get(stream);
        if (call !== undefined) call.window += credit;
      }
      this.#resume();
    } else if (type === Type.SETTINGS && (flags & Flag.ACK) === 0) {
      for (let each = at + 9; each < at + 9 + length; each += 6) {
        if (bytes.readUInt16BE(each) === Setting.INITIAL_WINDOW_SIZE)
          this.#setWindow(bytes.readUInt32BE(each + 2));
      }
      this.#control(settingsAck());
      this.#ready.resolve();
    } else if (type === Type.PING && (flags & Flag.ACK) === 0) {
      const ack = Buffer.from(bytes.subarray(at, at + 9 + length));
      ack[4] = Flag.ACK;
      this.#control(ack);
    } else if (type === Type.RST_STREAM) {
      const call = this.calls.get(stream);
      if (call === undefined) return;
      this.calls.delete(stream);
      this.#handlers.failed(this, call.number, `RST_STREAM ${bytes.readUInt32BE(at + 9)}`);
    } else if (type === Type.GOAWAY) this.goneAway = true;
  }

  #setWindow(bytes: number): void {
    for (const call of this.calls.values()) call.window += bytes - this.#initialWindow;
    this.#initialWindow = bytes;
    this.#resume();
  }

  #resume(): void {
    const stalled = this.#stalled;
    if (stalled.length === 0) return;
    this.#stalled = [];
    for (const send of stalled) send();
  }

  #control(frame: Buffer): void {
    this.#room(frame.length);
    frame.copy(this.#out, this.#used);
    this.#used += frame.length;
    this.#schedule();
  }
}
