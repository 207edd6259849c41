/**
 * `client-servers.ts COUNT`: echo servers and a balancer that names them, in one process. Prints one line
 * of JSON, `{ "balancer": "host:port", "servers": ["host:port", ...] }`, and ends with its parent.
 */
import { Backend, loadOf, ScriptedBalancer } from '../client/support.ts';

const count = Number(process.argv[2] ?? 4);
const backends = await Promise.all(Array.from({ length: count }, (_, i) => Backend.start(`s${i}`)));
const balancer = await ScriptedBalancer.start();
balancer.first = { upserted: backends.map(backend => backend.entry()) };
let sequence = 1n;
// As a balancer does: everybody's load once a second.
setInterval(() => {
  sequence += 1n;
  balancer.send({
    loads: backends.map(({ id, inFlight }) =>
      loadOf(id, { sequence, inFlight, utilization: 0.5, capacity: 5_000 }),
    ),
  });
}, 1_000);
// What is kept of calls for tests would only grow here.
setInterval(() => {
  for (const backend of backends) backend.seen.length = backend.hosts.length = 0;
}, 100);
console.log(JSON.stringify({ balancer: balancer.address, servers: backends.map(one => one.address) }));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
