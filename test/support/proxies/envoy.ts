/** Envoy as a plain reverse proxy for gRPC: one listener, one cluster, least requests. */
import { toolPath } from '../../../scripts/tools/install.ts';
import { freePort, startListening } from '../program.ts';
import type { ProxyOptions, ProxyUnderTest } from '../proxy-under-test.ts';
import { configFile, DEFAULTS, openFiles, running, saidVersion, weightOf } from './scratch.ts';

const EXTENSIONS = 'type.googleapis.com/envoy.extensions';

function config(port: number, backends: readonly string[], options: ProxyOptions): unknown {
  const { maxConcurrentStreams } = { ...DEFAULTS, ...options };
  const endpoint = (address: string, index: number) => {
    const [host, at] = address.split(':');
    const weight = weightOf(options, index);
    return {
      endpoint: { address: { socket_address: { address: host, port_value: Number(at) } } },
      ...(weight === undefined ? {} : { load_balancing_weight: weight }),
    };
  };
  // Its default of 1,024 would refuse calls that others take.
  const unlimited = { max_connections: 1e9, max_pending_requests: 1e9, max_requests: 1e9, max_retries: 3 };
  const outliers = {
    consecutive_gateway_failure: 3,
    enforcing_consecutive_gateway_failure: 100,
    interval: '0.2s',
    base_ejection_time: '5s',
    max_ejection_percent: 90,
  };
  return {
    static_resources: {
      listeners: [
        {
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          filter_chains: [
            {
              filters: [
                {
                  name: 'http',
                  typed_config: {
                    '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
                    codec_type: 'HTTP2',
                    stat_prefix: 'callers',
                    stream_idle_timeout: '3600s',
                    http2_protocol_options: { max_concurrent_streams: maxConcurrentStreams },
                    route_config: {
                      virtual_hosts: [
                        {
                          name: 'all',
                          domains: ['*'],
                          routes: [{ match: { prefix: '/' }, route: { cluster: 'servers', timeout: '0s' } }],
                        },
                      ],
                    },
                    http_filters: [
                      {
                        name: 'router',
                        typed_config: {
                          '@type': `${EXTENSIONS}.filters.http.router.v3.Router`,
                          // Else it makes a fresh header for each call, which the others do not.
                          suppress_envoy_headers: true,
                        },
                      },
                    ],
                    generate_request_id: false,
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'servers',
          type: 'STATIC',
          connect_timeout: '5s',
          lb_policy: 'LEAST_REQUEST',
          circuit_breakers: { thresholds: [unlimited] },
          ...(options.passiveHealth === true ? { outlier_detection: outliers } : {}),
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: 'servers',
            endpoints: [{ lb_endpoints: backends.map(endpoint) }],
          },
        },
      ],
    },
  };
}

export const envoy: ProxyUnderTest = {
  name: 'envoy',
  version: () => `Envoy ${saidVersion(toolPath('envoy'), ['--version'], /\/(\d+\.\d+)\.\d+\//)}`,
  needs: ['envoy'],
  async start(backends, options = {}) {
    if (options.takeOver !== undefined) throw new Error('Envoy is not set up for hot restarts here');
    const port = await freePort();
    // JSON is YAML.
    const { folder, path } = configFile('envoy.yaml', JSON.stringify(config(port, backends, options)));
    const args = ['-c', path, '--concurrency', '1', '-l', 'error', '--disable-hot-restart'];
    const program = await startListening(toolPath('envoy'), args, port, {
      cpu: options.cpu,
      openFiles: openFiles(options),
    });
    return running('envoy', `127.0.0.1:${port}`, program, folder, 'SIGTERM');
  },
};
