/** Dashboards for Grafana, from a list of panels: `deploy/grafana/*.json`. */
import { DASHBOARDS, type Dashboard, type Panel } from './panels.ts';

/** Files by path. */
export const DASHBOARD_PAGES: Readonly<Record<string, () => string>> = Object.fromEntries(
  DASHBOARDS.map(one => [`deploy/grafana/${one.uid}.json`, () => render(one)]),
);

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana puts its variable there
const SOURCE = { type: 'prometheus', uid: '${datasource}' };

function render({ uid, title, about, rows }: Dashboard): string {
  let y = 0;
  let id = 0;
  const panels: object[] = [];
  for (const row of rows) {
    panels.push({
      id: ++id,
      type: 'row',
      title: row.title,
      gridPos: { x: 0, y: y++, w: 24, h: 1 },
      panels: [],
    });
    for (const [n, panel] of row.panels.entries()) {
      panels.push(panelOf(panel, ++id, { x: (n % 3) * 8, y: y + Math.floor(n / 3) * 8, w: 8, h: 8 }));
    }
    y += Math.ceil(row.panels.length / 3) * 8;
  }
  const dashboard = {
    uid,
    title,
    description: about,
    tags: ['heapmesh'],
    schemaVersion: 39,
    editable: true,
    refresh: '10s',
    time: { from: 'now-30m', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' },
        variable('instance', 'label_values(heapmesh_build_info, instance)', 'Instance'),
        variable('pool', 'label_values(heapmesh_pool_backends{instance=~"$instance"}, pool)', 'Pool'),
      ],
    },
    links: [{ type: 'dashboards', tags: ['heapmesh'], title: 'Heapmesh', asDropdown: false, keepTime: true }],
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

function variable(name: string, query: string, label: string): object {
  return {
    name,
    label,
    type: 'query',
    datasource: SOURCE,
    query: { query, refId: name },
    definition: query,
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}

function panelOf(
  { title, about, unit, queries, stacked = false }: Panel,
  id: number,
  gridPos: object,
): object {
  return {
    id,
    type: 'timeseries',
    title,
    ...(about === undefined ? {} : { description: about }),
    datasource: SOURCE,
    gridPos,
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        custom: {
          drawStyle: 'line',
          fillOpacity: stacked ? 25 : 0,
          showPoints: 'never',
          stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
        },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom' },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
    targets: queries.map(([expr, legendFormat], n) => ({
      refId: String.fromCharCode(65 + n),
      datasource: SOURCE,
      expr,
      legendFormat,
      exemplar: expr.includes('call_duration_seconds_bucket'),
    })),
  };
}
