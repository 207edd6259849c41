/** The exporters of OpenTelemetry, and who this process is. */

import { SDK_INFO } from '@opentelemetry/core';
import {
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import type { SpanExporter } from '@opentelemetry/sdk-trace-base';
import {
  ATTR_SERVICE_INSTANCE_ID,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
  ATTR_TELEMETRY_SDK_LANGUAGE,
  ATTR_TELEMETRY_SDK_NAME,
  ATTR_TELEMETRY_SDK_VERSION,
} from '@opentelemetry/semantic-conventions';
import { ATTR_HOST_NAME, ATTR_PROCESS_PID } from '@opentelemetry/semantic-conventions/incubating';
import type { TraceProtocol } from './tracing-settings.ts';

export interface Identity {
  readonly instance: string;
  /** Empty: none. */
  readonly zone: string;
  readonly version: string;
  readonly hostname: string;
  readonly pid: number;
  /** `service.name` where OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES give none. */
  readonly service: string;
}

/** Loaded where it is used alone: each brings a stack of its own. */
export async function makeExporter(
  protocol: TraceProtocol,
  endpoint: string | undefined,
): Promise<SpanExporter> {
  if (protocol === 'grpc') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc');
    return new OTLPTraceExporter(endpoint === undefined ? {} : { url: endpoint });
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter(endpoint === undefined ? {} : { url: tracesUrl(endpoint) });
}

/** The path of OTLP/HTTP, where the endpoint has none of its own. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  if (url.pathname === '/') url.pathname = '/v1/traces';
  return url.href;
}

export function resourceOf(identity: Identity): Resource {
  const own = resourceFromAttributes({
    [ATTR_SERVICE_NAME]: identity.service,
    [ATTR_SERVICE_INSTANCE_ID]: identity.instance,
    [ATTR_SERVICE_VERSION]: identity.version,
    [ATTR_HOST_NAME]: identity.hostname,
    [ATTR_PROCESS_PID]: identity.pid,
    [ATTR_TELEMETRY_SDK_NAME]: SDK_INFO[ATTR_TELEMETRY_SDK_NAME],
    [ATTR_TELEMETRY_SDK_LANGUAGE]: SDK_INFO[ATTR_TELEMETRY_SDK_LANGUAGE],
    [ATTR_TELEMETRY_SDK_VERSION]: SDK_INFO[ATTR_TELEMETRY_SDK_VERSION],
    ...(identity.zone === '' ? {} : { 'heapmesh.zone': identity.zone }),
  });
  return own.merge(detectResources({ detectors: [envDetector] }));
}
