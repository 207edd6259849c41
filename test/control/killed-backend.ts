/** A backend in a process of its own, for a test that kills it: listens, registers, and waits. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { BackendStream } from './rig.ts';
import { connect } from './support.ts';

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as { port: number };
await new BackendStream(connect(process.argv[2] as string)).register({
  id: 'victim',
  address: `127.0.0.1:${port}`,
});
