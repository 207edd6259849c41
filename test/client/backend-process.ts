/** `backend-process.ts ID BALANCER[,BALANCER]`: an echo server that reports; prints its address once registered. */
import { createLoadReporter } from 'heapmesh/backend';
import { Backend, SERVICE } from './support.ts';

const [id = '', balancers = ''] = process.argv.slice(2);
const reporter = createLoadReporter({ id, services: [SERVICE], balancers: balancers.split(',') });
const backend = await Backend.start(id, 0, undefined, { interceptors: [reporter.grpcJsInterceptor()] });
await reporter.start({ address: backend.address, until: 'all', timeoutMs: 10_000 });
console.log(backend.address);
