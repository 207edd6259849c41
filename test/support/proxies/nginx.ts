/** nginx with `grpc_pass`, one worker. */
import { toolPath } from '../../../scripts/tools/install.ts';
import { freePort, startListening } from '../program.ts';
import type { ProxyOptions, ProxyUnderTest } from '../proxy-under-test.ts';
import { configFile, DEFAULTS, openFiles, running, saidVersion, weightOf } from './scratch.ts';

function config(port: number, backends: readonly string[], options: ProxyOptions): string {
  const { maxConcurrentStreams, maxConnections } = { ...DEFAULTS, ...options };
  const fails = options.passiveHealth === true ? 'max_fails=3 fail_timeout=5s' : 'max_fails=0';
  return `daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events { worker_connections ${2 * maxConnections}; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
  client_body_timeout 1h;
  grpc_read_timeout 1h;
  grpc_send_timeout 1h;
  http2_max_concurrent_streams ${maxConcurrentStreams};
  upstream servers {
    least_conn;
${backends.map((address, index) => `    server ${address} ${fails} weight=${weightOf(options, index) ?? 1};`).join('\n')}
    keepalive 1000;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen 127.0.0.1:${port} http2 backlog=4096;
    location / { grpc_pass grpc://servers; }
  }
}
`;
}

export const nginx: ProxyUnderTest = {
  name: 'nginx',
  version: () => `nginx ${saidVersion(toolPath('nginx'), ['-v'], /nginx\/(\d+\.\d+)/)}`,
  needs: ['nginx'],
  async start(backends, options = {}) {
    if (options.takeOver !== undefined) throw new Error('nginx is not set up for take-overs here');
    const port = await freePort();
    const { folder, path } = configFile('nginx.conf', config(port, backends, options));
    const args = ['-p', folder, '-e', 'stderr', '-c', path];
    const program = await startListening(toolPath('nginx'), args, port, {
      cpu: options.cpu,
      openFiles: openFiles(options),
    });
    return running('nginx', `127.0.0.1:${port}`, program, folder, 'SIGQUIT');
  },
};
