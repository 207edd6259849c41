/** The one error of this SDK. */

/**
 * - `invalid-options`: an option or a target is not as it must be; the message says which and how.
 * - `wrong-grpc`: the module that was handed in is not a grpc-js that this SDK works with, or a channel
 *   was made by a copy of grpc-js on which `heapmesh://` is not registered.
 * - `not-found`: no balancer knows the service.
 * - `unavailable`: no balancer answered in time, or none had a server to pick; the message says which.
 * - `refused`: the balancer refused the request; the message is its own.
 * - `closed`: the client was closed.
 */
export type ClientErrorCode =
  | 'invalid-options'
  | 'wrong-grpc'
  | 'not-found'
  | 'unavailable'
  | 'refused'
  | 'closed';

export class ClientError extends Error {
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, message: string) {
    super(message);
    this.name = 'ClientError';
    this.code = code;
  }
}

export function requireThat(holds: boolean, field: string, problem: string): asserts holds {
  if (!holds) throw new ClientError('invalid-options', `${field} ${problem}`);
}

/** A value as it appears in a message. */
export function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}
