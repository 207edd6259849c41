/**
 * Octets to and from sockets with less in between than Node's streams put there.
 *
 * Read: all sockets of a thread read into one buffer. Node does this for sockets that were made with `onread`
 * (documented), but has no such option for accepted ones; they are given what `onread` leaves behind on a socket.
 * Written: the socket's handle is called itself. Without Node's queue and its two turns of the tick queue, a small
 * write costs little more than its system call.
 *
 * Neither `useUserBuffer` nor `writeBuffer` is documented, so what Node does with them is looked up first, on a
 * socket with a handle that only notes what is asked of it. If it is not as expected, sockets are read by 'data' and
 * written by `write`: slower, and the same otherwise. See docs/decisions/0009-socket-handles.md.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { TRANSPORT } from '../core/limits.ts';

/** The request that a handle's write goes by; it is used up only where the kernel did not take all at once. */
interface WriteRequest {
  oncomplete: ((status: number) => void) | undefined;
}

/** The part of a socket's handle that is used here. */
interface Handle {
  useUserBuffer(buffer: Uint8Array): void;
  /** Returns 0 or a negative error number. */
  writeBuffer(request: WriteRequest, buffer: Uint8Array): number;
  writev(request: WriteRequest, buffers: Uint8Array[], allBuffers: true): number;
  readonly writeQueueSize: number;
}

/** A socket with what is known of its inside. */
interface OpenSocket extends Socket {
  [key: symbol]: unknown;
  readonly _handle?: Handle | null;
}

/** Who owns a socket. */
export interface SocketOwner {
  /** What came; the buffer is the owner's until it returns. */
  read(buffer: Buffer, start: number, end: number): void;
  /** What `send` could not give to the kernel at once is there, or lost with the socket. */
  sent(): void;
}

/** What was found out about the inside of sockets. */
interface Inside {
  /** Where a socket keeps what its `onread` option gave. */
  readonly bufferKey: symbol;
  readonly callbackKey: symbol;
  /** Makes requests of handles; they cannot be made by hand. */
  readonly WriteRequest: new () => WriteRequest;
}

/** How the sockets of one thread are read and written. */
export class Sockets {
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(TRANSPORT.readBytes);
  readonly #inside: Inside | undefined;
  #request: WriteRequest | undefined;

  /** @param direct false: by what Node documents alone */
  constructor(direct: boolean) {
    this.#inside = direct ? lookInside(this.#buffer) : undefined;
  }

  /** False where sockets are read and written by what Node documents alone. */
  get direct(): boolean {
    return this.#inside !== undefined;
  }

  /** Gives a socket to its owner: what comes from now on is read. */
  own(socket: Socket, owner: SocketOwner): void {
    const handle = (socket as OpenSocket)._handle;
    if (this.#inside === undefined || handle == null) {
      socket.on('data', (chunk: Buffer) => owner.read(chunk, 0, chunk.length));
      return;
    }
    const open = socket as OpenSocket;
    open[this.#inside.bufferKey] = this.#buffer;
    open[this.#inside.callbackKey] = (octets: number, buffer: Buffer): boolean => {
      owner.read(buffer, 0, octets);
      return true;
    };
    handle.useUserBuffer(this.#buffer);
  }

  /**
   * Writes buffers, in this order. Not to be called again before all is sent.
   *
   * @returns true where the kernel has all; else the buffers are not to be touched before `owner.sent`
   */
  send(socket: Socket, buffers: Uint8Array[], owner: SocketOwner): boolean {
    const handle = (socket as OpenSocket)._handle;
    if (this.#inside === undefined || handle == null || socket.connecting) {
      sendPlainly(socket, buffers, owner);
      return false;
    }
    this.#request ??= new this.#inside.WriteRequest();
    const request = this.#request;
    const code =
      buffers.length === 1
        ? handle.writeBuffer(request, buffers[0] as Uint8Array)
        : handle.writev(request, buffers, true);
    if (code !== 0) {
      socket.destroy(systemError(code));
      return false;
    }
    if (handle.writeQueueSize === 0) return true;
    // The request is in use until then.
    this.#request = undefined;
    request.oncomplete = status => {
      if (status < 0) socket.destroy(systemError(status));
      owner.sent();
    };
    return false;
  }
}

function sendPlainly(socket: Socket, buffers: Uint8Array[], owner: SocketOwner): void {
  const sent = () => owner.sent();
  const last = buffers.length - 1;
  if (last === 0) {
    socket.write(buffers[0] as Uint8Array, sent);
    return;
  }
  socket.cork();
  for (let i = 0; i < last; i++) socket.write(buffers[i] as Uint8Array);
  socket.write(buffers[last] as Uint8Array, sent);
  socket.uncork();
}

/** The error that Node makes of such a number. */
function systemError(code: number): Error {
  const name = getSystemErrorName(code);
  return Object.assign(new Error(`write ${name}`), { code: name, errno: code, syscall: 'write' });
}

/** Lets a socket read and write on a handle that only notes what is asked of it. */
function lookInside(buffer: Buffer): Inside | undefined {
  let given: Uint8Array | undefined;
  let request: WriteRequest | undefined;
  const handle = {
    useUserBuffer(own: Uint8Array) {
      given = own;
    },
    writeBuffer(made: WriteRequest) {
      request = made;
      return 0;
    },
    readStart: () => 0,
    readStop: () => 0,
    close() {},
  };
  try {
    const callback = (): boolean => true;
    const options = { handle, manualStart: true, onread: { buffer, callback } };
    const probe = new Socket(options as unknown as SocketConstructorOpts) as OpenSocket;
    probe.write(Buffer.alloc(1));
    const keys = Object.getOwnPropertySymbols(probe);
    const buffers = keys.filter(key => probe[key] === buffer);
    const callbacks = keys.filter(key => probe[key] === callback);
    probe.destroy();
    const WriteRequest = request?.constructor as (new () => WriteRequest) | undefined;
    const known =
      given === buffer &&
      buffers.length === 1 &&
      callbacks.length === 1 &&
      WriteRequest?.name === 'WriteWrap';
    if (!known) return undefined;
    return { bufferKey: buffers[0] as symbol, callbackKey: callbacks[0] as symbol, WriteRequest };
  } catch {
    return undefined;
  }
}
