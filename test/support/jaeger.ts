/** A real Jaeger: takes spans by OTLP, gives traces back by its query API. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jaegerConfig } from '../../scripts/lib/jaeger.ts';
import { toolPath } from '../../scripts/tools/install.ts';
import { freePort, startListening } from './program.ts';

export interface Jaeger {
  /** OTLP by gRPC and by HTTP, as endpoints. */
  readonly grpc: string;
  readonly http: string;
  /** Where people and programs ask it: its page, and its query API below `/api`. */
  readonly query: string;
  /** The trace as soon as it is as it should be; throws with what there is of it where it does not become so. */
  trace(id: string, holds: (spans: readonly JaegerSpan[]) => boolean, mostMs?: number): Promise<JaegerSpan[]>;
  /** Ids of the traces that a service took part in. */
  tracesOf(service: string): Promise<string[]>;
  /** The process stops where it is: connections stay, nothing is answered. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

export interface JaegerSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: none. */
  readonly parentId: string;
  readonly links: readonly string[];
  readonly name: string;
  readonly service: string;
  readonly kind: string;
  /** Microseconds. */
  readonly startUs: number;
  readonly durationUs: number;
  readonly tags: Readonly<Record<string, unknown>>;
  readonly events: readonly Readonly<Record<string, unknown>>[];
  /** Of the process that made it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

/** Starts one on ports of its own. */
export async function startJaeger({ cpu }: { readonly cpu?: number } = {}): Promise<Jaeger> {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-jaeger-'));
  const [grpc, http, query, queryGrpc] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const file = join(folder, 'jaeger.json');
  writeFileSync(file, JSON.stringify(jaegerConfig({ otlp: grpc, otlpHttp: http, query, queryGrpc })));
  const program = await startListening(toolPath('jaeger'), ['--config', file], query, { cpu }).finally(() =>
    rmSync(folder, { recursive: true }),
  );
  const base = `http://127.0.0.1:${query}`;
  const get = async (path: string): Promise<unknown> => (await fetch(base + path)).json();
  return {
    grpc: `http://127.0.0.1:${grpc}`,
    http: `http://127.0.0.1:${http}`,
    query: base,
    async trace(id, holds, mostMs = 15_000) {
      for (const end = performance.now() + mostMs; ; await sleep(50)) {
        const spans = spansOf(await get(`/api/traces/${id}`));
        if (holds(spans)) return spans;
        if (performance.now() > end) throw new Error(`trace ${id} is:\n${JSON.stringify(spans, null, 1)}`);
      }
    },
    async tracesOf(service) {
      const found = (await get(`/api/traces?service=${service}&limit=1000`)) as {
        data: { traceID: string }[];
      };
      return (found.data ?? []).map(each => each.traceID);
    },
    freeze: () => void program.child.kill('SIGSTOP'),
    thaw: () => void program.child.kill('SIGCONT'),
    // It keeps everything in memory, and has nothing to end in peace.
    stop: async () => void (await program.stop(0)),
  };
}

interface Tag {
  readonly key: string;
  readonly value: unknown;
}

interface Found {
  readonly data: readonly {
    readonly spans: readonly {
      readonly traceID: string;
      readonly spanID: string;
      readonly operationName: string;
      readonly references: readonly { refType: string; spanID: string }[];
      readonly startTime: number;
      readonly duration: number;
      readonly tags: readonly Tag[];
      readonly logs: readonly { fields: readonly Tag[] }[];
      readonly processID: string;
    }[];
    readonly processes: Readonly<Record<string, { serviceName: string; tags?: readonly Tag[] }>>;
  }[];
}

function spansOf(answer: unknown): JaegerSpan[] {
  const [trace] = (answer as Found).data ?? [];
  if (trace === undefined) return [];
  const spans = trace.spans.map(span => {
    const tags = record(span.tags);
    const refs = (type: string) => span.references.filter(each => each.refType === type);
    const process = trace.processes[span.processID];
    return {
      traceId: span.traceID,
      spanId: span.spanID,
      parentId: refs('CHILD_OF')[0]?.spanID ?? '',
      links: refs('FOLLOWS_FROM').map(each => each.spanID),
      name: span.operationName,
      service: process?.serviceName ?? '',
      kind: String(tags['span.kind'] ?? ''),
      startUs: span.startTime,
      durationUs: span.duration,
      tags,
      events: span.logs.map(({ fields }) => record(fields)),
      resource: record(process?.tags ?? []),
    };
  });
  return spans.sort((a, b) => a.startUs - b.startUs);
}

function record(tags: readonly Tag[]): Record<string, unknown> {
  return Object.fromEntries(tags.map(({ key, value }) => [key, value]));
}
