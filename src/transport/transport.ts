/**
 * Sockets with HTTP/2 connections on them: the interface of this folder. Who uses it derives a class of its own for
 * each kind of peer: of `Transport` for connections that we make, of `ServerTransport` for those that we take.
 */
export { Transport, type TransportShared } from './base-transport.ts';
export { Flusher } from './flusher.ts';
export { ServerTransport } from './server-transport.ts';
export { Sockets } from './sockets.ts';
