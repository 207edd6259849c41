/** The way to the collector, by OpenTelemetry's transports for OTLP, and who this process is. */
import { SDK_INFO } from '@opentelemetry/core';
import type { IOtlpExportDelegate } from '@opentelemetry/otlp-exporter-base';
import {
  type IExporterMetricsHelper,
  type ISerializer,
  ProtobufTraceSerializer,
} from '@opentelemetry/otlp-transformer';
import {
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  ATTR_SERVICE_INSTANCE_ID,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
  ATTR_TELEMETRY_SDK_LANGUAGE,
  ATTR_TELEMETRY_SDK_NAME,
  ATTR_TELEMETRY_SDK_VERSION,
} from '@opentelemetry/semantic-conventions';
import { ATTR_HOST_NAME, ATTR_PROCESS_PID } from '@opentelemetry/semantic-conventions/incubating';
import type { Batch } from './encoder.ts';
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

/** What takes batches: OpenTelemetry's, with its time-outs, retries, compression, certificates and variables. */
export type BatchExporter = Pick<IOtlpExportDelegate<Batch>, 'export' | 'shutdown'>;

const SERIALIZER: ISerializer<Batch, unknown> = {
  serializeRequest: ({ bytes }) => bytes,
  deserializeResponse: bytes => ProtobufTraceSerializer.deserializeResponse(bytes),
};

/** For metrics of the exporter's own, which nobody takes here. */
const HELPER: IExporterMetricsHelper<Batch> = {
  name: 'span',
  countItems: ({ spans }) => spans,
};

/** Loaded where it is used alone: each brings a stack of its own. */
export async function makeExporter(
  protocol: TraceProtocol,
  endpoint: string | undefined,
): Promise<BatchExporter> {
  if (protocol === 'grpc') {
    const { convertLegacyOtlpGrpcOptions, createOtlpGrpcExportDelegate } = await import(
      '@opentelemetry/otlp-grpc-exporter-base'
    );
    const service = 'opentelemetry.proto.collector.trace.v1.TraceService';
    return createOtlpGrpcExportDelegate(
      convertLegacyOtlpGrpcOptions(endpoint === undefined ? {} : { url: endpoint }, 'TRACES'),
      SERIALIZER,
      'otlp_grpc_span_exporter',
      HELPER,
      undefined,
      'TraceExportService',
      `/${service}/Export`,
    );
  }
  const { convertLegacyHttpOptions, createOtlpHttpExportDelegate } = await import(
    '@opentelemetry/otlp-exporter-base/node-http'
  );
  return createOtlpHttpExportDelegate(
    convertLegacyHttpOptions(
      endpoint === undefined ? {} : { url: tracesUrl(endpoint) },
      'TRACES',
      'v1/traces',
      { 'Content-Type': 'application/x-protobuf' },
    ),
    SERIALIZER,
    'otlp_http_span_exporter',
    HELPER,
    undefined,
  );
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
