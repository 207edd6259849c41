/** How a name becomes addresses: as the machine does it, or by asking given DNS servers. */
import { lookup, Resolver as NodeResolver } from 'node:dns/promises';
import { DISCOVERY_LIMITS } from '../core/limits.ts';

/** Finds the addresses of a name, none twice. Rejects where nothing is known of them; empty: there are none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** @param servers `host:port` of DNS servers; none: the machine's own way, /etc/hosts included */
export function resolverOf(servers: readonly string[]): Resolve {
  return servers.length === 0 ? byMachine : byServers(servers);
}

async function byMachine(name: string): Promise<readonly string[]> {
  const found = await within(lookup(name, { all: true, order: 'ipv4first' }), name);
  return [...new Set(found.map(one => one.address))];
}

/** Answers that say that there is none of a kind; any other failure says nothing. */
const NONE = ['ENODATA', 'ENOTFOUND'];

function byServers(servers: readonly string[]): Resolve {
  const resolver = new NodeResolver({ timeout: 1_000, tries: 2 });
  resolver.setServers([...servers]);
  const ofKind = async (ask: Promise<string[]>): Promise<string[]> => {
    try {
      return await ask;
    } catch (error) {
      if (NONE.includes((error as NodeJS.ErrnoException).code ?? '')) return [];
      throw error;
    }
  };
  return async name => {
    const both = Promise.all([ofKind(resolver.resolve4(name)), ofKind(resolver.resolve6(name))]);
    // Were one kind to fail and the other not, its addresses would be gone although nobody said so.
    const [four, six] = await within(both, name);
    return [...new Set([...four, ...six])];
  };
}

/** An answer that has not come by then has failed: the machine's resolver may wait for half a minute. */
async function within<T>(answer: Promise<T>, name: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const late = `no answer for ${name} within ${DISCOVERY_LIMITS.lookupMs / 1000} s`;
  const timer = setTimeout(() => reject(new Error(late)), DISCOVERY_LIMITS.lookupMs);
  try {
    return await Promise.race([answer, promise]);
  } finally {
    clearTimeout(timer);
  }
}
