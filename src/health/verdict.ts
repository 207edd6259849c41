/** What the end of a health check says of a server. */
import { HealthCheckResponse, HealthCheckResponse_ServingStatus } from '../gen/grpc/health/v1/health.ts';
import { Status, statusName } from '../grpc/status.ts';
import type { CallEnd } from './link.ts';

/**
 * `serving` it says so itself · `alive` it answers, and does not say more · `failing` it answers that it does not
 * serve, or fails the check · `dead` it cannot be reached
 */
export type Finding = 'serving' | 'alive' | 'failing' | 'dead';

export interface Verdict {
  readonly finding: Finding;
  /** In words that follow the server's name. */
  readonly says: string;
}

/** Statuses that are a server's own failure; any other says that it works, and does not want to say how it is. */
const FAILURES: readonly Status[] = [
  Status.UNKNOWN,
  Status.DEADLINE_EXCEEDED,
  Status.RESOURCE_EXHAUSTED,
  Status.INTERNAL,
  Status.UNAVAILABLE,
  Status.DATA_LOSS,
];

/** Of a message of the health service. */
export function verdictOfAnswer(octets: Uint8Array): Verdict {
  let status: number;
  try {
    status = HealthCheckResponse.decode(octets).status;
  } catch {
    return { finding: 'alive', says: 'answered the health check with what is no health message' };
  }
  if (status === HealthCheckResponse_ServingStatus.SERVING) return { finding: 'serving', says: 'is SERVING' };
  const name = Object.entries(HealthCheckResponse_ServingStatus).find(([, value]) => value === status)?.[0];
  return { finding: 'failing', says: `is ${name ?? status}` };
}

/** Of a check that ended without a message. @param named it was asked for a service by name */
export function verdictOfEnd({ status, message, http, lost }: CallEnd, named: boolean): Verdict {
  const said = message === '' ? statusName(status) : `${statusName(status)}: ${message.slice(0, 200)}`;
  // Most gRPC servers have no health service, and some answer unknown paths by HTTP: both work.
  if (http) return { finding: 'alive', says: `answers, and has no health service (${message})` };
  if (status === Status.UNIMPLEMENTED)
    return { finding: 'alive', says: 'answers, and has no health service' };
  if (lost) return { finding: 'dead', says: message };
  // health.proto: "If the requested service is unknown, the call will fail with status NOT_FOUND."
  if (named && status === Status.NOT_FOUND)
    return { finding: 'failing', says: 'does not know the service that is checked' };
  if (FAILURES.includes(status)) return { finding: 'failing', says: `failed the health check with ${said}` };
  // It takes calls, also where it ends this one well without an answer, as file servers do.
  return { finding: 'alive', says: `answered the health check with ${said}` };
}
