/** The one error of this SDK. */

/**
 * - `invalid-options`: an option is not as it must be; the message says which and how.
 * - `refused`: every balancer has refused the registration; the messages say why.
 * - `timeout`: no balancer has registered this backend within the time that was given.
 * - `closed`: the reporter was closed, or is on its way out.
 */
export type ReporterErrorCode = 'invalid-options' | 'refused' | 'timeout' | 'closed';

export class ReporterError extends Error {
  readonly code: ReporterErrorCode;

  constructor(code: ReporterErrorCode, message: string) {
    super(message);
    this.name = 'ReporterError';
    this.code = code;
  }
}
