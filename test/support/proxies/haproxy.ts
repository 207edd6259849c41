/** HAProxy, relaying HTTP/2 (`mode http`) or bytes (`mode tcp`, the floor of what any proxy costs). */
import { toolPath } from '../../../scripts/tools/install.ts';
import { freePort, startListening } from '../program.ts';
import type { ProxyOptions, ProxyUnderTest } from '../proxy-under-test.ts';
import { configFile, DEFAULTS, openFiles, running, saidVersion, weightOf } from './scratch.ts';

function config(mode: 'http' | 'tcp', port: number, backends: readonly string[], options: ProxyOptions) {
  const { maxConcurrentStreams, maxConnections, drainTimeoutMs } = { ...DEFAULTS, ...options };
  const proto = mode === 'http' ? ' proto h2' : '';
  // What it sees of connections alone: of an HTTP answer of status 200 it cannot see that a call failed.
  const observe =
    options.passiveHealth === true
      ? ' check inter 200ms observe layer4 on-error mark-down error-limit 3'
      : '';
  const weight = (index: number): string => {
    const value = weightOf(options, index);
    return value === undefined ? '' : ` weight ${value}`;
  };
  return `global
  nbthread 1
  no strict-limits
  maxconn ${maxConnections}
  hard-stop-after ${drainTimeoutMs}ms
  tune.h2.max-concurrent-streams ${maxConcurrentStreams}
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
${mode === 'http' ? '  http-reuse always\n' : ''}frontend callers
  bind 127.0.0.1:${port}${proto}
  maxconn ${maxConnections}
  default_backend servers
backend servers
  balance ${mode === 'http' ? 'leastconn' : 'roundrobin'}
  option redispatch
${backends.map((address, index) => `  server s${index} ${address}${proto}${weight(index)}${observe}`).join('\n')}
`;
}

function inMode(name: string, mode: 'http' | 'tcp'): ProxyUnderTest {
  return {
    name,
    version: () => `HAProxy ${saidVersion(toolPath('haproxy'), ['-v'], /version (\d+\.\d+)/)} mode ${mode}`,
    needs: ['haproxy'],
    async start(backends, options = {}) {
      const port =
        options.takeOver === undefined ? await freePort() : Number(options.takeOver.address.split(':')[1]);
      const { folder, path } = configFile('haproxy.cfg', config(mode, port, backends, options));
      const finish = options.takeOver === undefined ? [] : ['-sf', String(options.takeOver.pid)];
      const args = ['-db', '-f', path, ...finish];
      const program = await startListening(toolPath('haproxy'), args, port, {
        cpu: options.cpu,
        openFiles: openFiles(options),
      });
      return running(name, `127.0.0.1:${port}`, program, folder, 'SIGUSR1');
    },
  };
}

export const haproxy = inMode('haproxy', 'http');
export const haproxyTcp = inMode('haproxy-tcp', 'tcp');
