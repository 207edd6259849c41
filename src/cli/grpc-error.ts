/** Errors of gRPC in words. */
import type { ClientError, Metadata } from 'nice-grpc';
import { BadRequest } from '../gen/google/rpc/error_details.ts';
import { Status as RpcStatus } from '../gen/google/rpc/status.ts';
import { Status, statusName } from '../grpc/status.ts';
import { CliError, Exit } from './cli.ts';
import { clean } from './render/style.ts';

const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest';

/** Field violations from `grpc-status-details-bin`, as `field: what was wrong`. Details that cannot be read are none. */
export function fieldViolations(details: Uint8Array | undefined): string[] {
  if (details === undefined) return [];
  try {
    return RpcStatus.decode(details)
      .details.filter(detail => detail.typeUrl === BAD_REQUEST)
      .flatMap(detail => BadRequest.decode(detail.value).fieldViolations)
      .map(({ field, description }) => clean(`${field}: ${description}`));
  } catch {
    return [];
  }
}

/** No connection, as against a balancer that answers UNAVAILABLE because no backend is eligible. */
function isUnreachable(details: string): boolean {
  return /No connection established|ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|Name resolution failed|Connection dropped|ECONNRESET|Protocol error/.test(
    details,
  );
}

/** What a failed call to the control API means for the person at the terminal. */
export function explainControlError(error: ClientError, trailer: Metadata, address: string): CliError {
  const details = clean(error.details);
  const cause = { cause: error };
  if (error.code === Status.UNAVAILABLE && isUnreachable(details)) {
    const message = `no balancer answers at ${address}: start one with \`heapmesh serve\`, or name it with --control`;
    return new CliError(message, Exit.FAILURE, cause);
  }
  if (error.code === Status.UNIMPLEMENTED) {
    const message = `${address} does not know ${error.path}: is it the control address of a balancer (port 4701, not 4700 or 4702) of this version?`;
    return new CliError(message, Exit.FAILURE, cause);
  }
  if (error.code === Status.INVALID_ARGUMENT) {
    const violations = fieldViolations(trailer.get('grpc-status-details-bin'));
    return new CliError(violations.length > 0 ? violations.join('; ') : details, Exit.USAGE, cause);
  }
  return new CliError(`${details || 'no reason given'} (${statusName(error.code)})`, Exit.FAILURE, cause);
}
