/** `discovery:` */
import * as k from '../kinds.ts';

export const discovery = k.section('Backends that are found by a name.', {
  dnsInterval: k
    .duration(
      { about: 'How often the names of `dns:///` addresses are resolved.', live: true },
      { leastMs: 100, mostMs: 3_600_000, says: 'from 100ms to 1h' },
    )
    .prefault('5s'),
  dnsServers: k.list(
    k.address({ about: 'A DNS server, such as 127.0.0.1:8600.', live: true }),
    {
      about:
        "DNS servers that are asked for A and AAAA records, the first that answers counting. The machine's own way of resolving names, /etc/hosts included, where none is given.",
      live: true,
    },
    8,
  ),
});
