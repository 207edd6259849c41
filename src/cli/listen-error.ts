/** What it means that an address cannot be listened on, and what to do. */
import { formatAddress } from '../config/address.ts';
import { CliError, Exit } from './cli.ts';

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'another program listens there; end it, or choose another address with --proxy, --control or --admin',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'only root may listen on a port that low; choose one above 1023',
  ENOTFOUND: 'no address is known for that name',
  EAI_AGAIN: 'no name server answers for that name',
};
const SYSTEM_CALLS = ['listen', 'bind', 'getaddrinfo'];

/** The error as a person needs it; one that has nothing to do with addresses stays what it is. */
export function explainListenError(error: unknown): unknown {
  const { code, syscall, address, port, hostname, message } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
    hostname?: string;
  };
  if (code !== 'EADDRINUSE' && !SYSTEM_CALLS.includes(syscall ?? '')) return error;
  const host = address ?? hostname;
  const where = host === undefined ? '' : ` on ${port === undefined ? host : formatAddress({ host, port })}`;
  const why = REASONS[code ?? ''] ?? message;
  return new CliError(`cannot listen${where}: ${why}`, Exit.FAILURE, { cause: error });
}
