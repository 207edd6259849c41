/** Who may do what, and which addresses may be registered as backends. */
import { BlockList, isIP } from 'node:net';
import { Status } from '../grpc/status.ts';
import { type Peer, RpcError } from './rpc.ts';

/** What a handler is about to do. `admin.read` changes nothing. */
export type Action = 'pick' | 'watch' | 'report-outcomes' | 'report-load' | 'admin.read' | 'admin.write';

/**
 * Returns nothing where the peer may, or the reason why it may not, which the peer is told with
 * PERMISSION_DENIED. `subject` is the service or the server that the action is about.
 */
export type Authorize = (peer: Peer, action: Action, subject: string) => string | undefined;

/** Everyone may do everything: for an address that only this machine reaches. */
export const allowAll: Authorize = () => undefined;

export function demand(authorize: Authorize, peer: Peer, action: Action, subject: string): void {
  const refusal = authorize(peer, action, subject);
  if (refusal !== undefined) throw new RpcError(Status.PERMISSION_DENIED, refusal);
}

/** Tells whether a host may be registered: undefined where it may, else why not, in words. */
export type AllowBackend = (host: string) => string | undefined;

/**
 * Limits what may be registered to these CIDR blocks; without any, every address may. A host name is
 * refused then, since what it resolves to can change after the check.
 * Throws where an entry is no CIDR block.
 */
export function allowBackends(blocks: readonly string[] | undefined): AllowBackend {
  if (blocks === undefined || blocks.length === 0) return () => undefined;
  const list = new BlockList();
  for (const block of blocks) {
    const [address = '', prefix = ''] = block.split('/');
    const version = isIP(address);
    if (version === 0 || !/^\d{1,3}$/.test(prefix)) throw new Error(`'${block}' is no CIDR block`);
    list.addSubnet(address, Number(prefix), version === 6 ? 'ipv6' : 'ipv4');
  }
  return host => {
    const version = isIP(host);
    if (version === 0) return `'${host}' is a name; control.allowBackends takes IP addresses alone`;
    if (list.check(host, version === 6 ? 'ipv6' : 'ipv4')) return undefined;
    return `${host} is outside of control.allowBackends (${blocks.join(', ')})`;
  };
}
