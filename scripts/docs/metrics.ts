/** The guide to metrics: how they are had, and every one of them, from the catalogue. */
import { METRIC_LIMITS } from '../../src/core/limits.ts';
import { RULES } from '../../src/telemetry/findings/rules.ts';
import { CATALOG } from '../../src/telemetry/metrics/catalog.ts';
import { BOUNDS } from '../../src/telemetry/metrics/latency.ts';

export function renderMetrics(): string {
  const count = CATALOG.reduce((sum, { families }) => sum + families.length, 0);
  const { methods, attempts, backends, pools } = METRIC_LIMITS;
  return `# Metrics

Generated from the code by \`node scripts/docs.ts\`; not edited.

\`GET /metrics\` on the admin port (\`127.0.0.1:4702\`) tells ${count} metrics as Prometheus text, or as OpenMetrics 1.0
where the collector asks for that. With a scrape interval of 15 s:

\`\`\`yml
scrape_configs:
  - job_name: heapmesh
    scrape_interval: 15s
    static_configs: [{ targets: ['127.0.0.1:4702'] }]
\`\`\`

- **Rules and dashboards** are in [deploy/prometheus](../../deploy/prometheus) and [deploy/grafana](../../deploy/grafana).
  Every query in them is run against a real Prometheus by the tests.
- **Calls and attempts.** A *call* is what a caller sees; an *attempt* is what one backend had of it. Both are told
  by code; a retried call is one call and several attempts.
- **Histograms** are classic ones with ${BOUNDS.length} bounds from ${BOUNDS[0]} s to ${BOUNDS.at(-1)} s, each twice the one before.
  With OpenMetrics, buckets of \`heapmesh_call_duration_seconds\` carry the trace of the last sampled call in them
  (start Prometheus with \`--enable-feature=exemplar-storage\`).
- **Streams** that are open count: their octets and messages move while they are open.
- **Cardinality is bounded.** ${methods} methods, ${attempts.toLocaleString('en')} pairs of a pool and a backend,
  ${backends.toLocaleString('en')} backends and ${pools} pools are told of one by one; what comes beyond counts as
  \`other\`, and \`heapmesh_metrics_full\` says so. A method counts by itself only once a backend has served it: who calls
  what is not there makes no series.
- **A backend that has left** is told of for a minute more.
- **A scrape** is made in slices of ${METRIC_LIMITS.sliceMs} ms, between which calls are served;
  \`heapmesh_scrape_longest_slice_seconds\` says how long the longest really was.

${CATALOG.map(({ title, families }) => {
  const rows = families.map(({ name, type, help, labels }) => {
    const set = labels.map(label => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${set} | ${help.replaceAll('|', '\\|')} |`;
  });
  return `## ${title}\n\n| metric | type | labels | |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}).join('\n')}
## Findings

\`heapmesh diagnose\` (and \`GET /api/findings\`) looks at the last minute of all this and says in plain words what holds
calls up, with numbers, and what to do. It exits with 1 where something is critical.

| rule | looks for |
|---|---|
${RULES.map(({ name, about }) => `| \`${name}\` | ${about} |`).join('\n')}
`;
}
