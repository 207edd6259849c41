/**
 * HTTP/2 for intermediaries (RFC 9113, RFC 7541): the interface of this folder. Pure: no sockets, timers or clock.
 *
 * A process makes one `Http2Context`; each transport gets a `Connection` with a handler of its own:
 *
 *     const connection = new Connection('server', context, handler, limits);
 *     connection.start();
 *     // octets in
 *     connection.receive(chunk, 0, chunk.length, now);
 *     // handler.output() → once in this turn of the event loop:
 *     for (const buffer of connection.take()) socket.write(buffer);
 *     connection.written();              // when the socket has them all; take() again only after that
 *     // the transport is gone
 *     connection.lost();
 *
 * Relaying a stream: in `data`, offer the slice to the other side's `sendData`, keep (copy) what it did not take
 * until its `writable`, and `credit` this side by what the other side took, when it took it. Relaying a header
 * block: `sendList` for a list as it is, or `beginHeaders`, `addList`/`addField`/`addText`, `endHeaders`.
 * Lists with a `serial` above 0 never change and may be kept, with what was found out about them in `attachment`;
 * others are to be copied, or put by in a `KeptList` where they are wanted again only if something goes wrong.
 */
export { Connection } from './connection.ts';
export { type ContextOptions, Http2Context } from './context.ts';
export {
  CONNECTION_FAULTS,
  ConnectionError,
  type ConnectionFault,
  ErrorCode,
  errorName,
  FaultCounts,
  STREAM_FAULTS,
  type StreamFault,
} from './errors.ts';
export { HeaderList } from './header-list.ts';
export { FieldFlag } from './hpack/fields.ts';
export { type HeaderName, KINDS, NameKind } from './hpack/names.ts';
export { KeptList } from './kept-list.ts';
export { type ConnectionHandler, type ConnectionLimits, ResetCause } from './state.ts';
export { HeadersKind } from './validation.ts';
