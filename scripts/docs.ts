/**
 * Writes what follows from the sources: `docs/reference/config.md` from the schema, `docs/reference/cli.md`
 * from the tree of commands, `docs/guides/metrics.md` from the catalogue of metrics, dashboards from their
 * panels, the picture of the flows. With `--check` nothing is written; exit code 1 where one of them is not up
 * to date.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { renderCli } from './docs/cli.ts';
import { renderConfig } from './docs/config.ts';
import { DASHBOARD_PAGES } from './docs/dashboards.ts';
import { renderFlows } from './docs/flows.ts';
import { renderMetrics } from './docs/metrics.ts';
import { ROOT } from './lib/project.ts';

const PAGES: Readonly<Record<string, () => string>> = {
  'docs/reference/config.md': renderConfig,
  'docs/reference/cli.md': renderCli,
  'docs/guides/metrics.md': renderMetrics,
  'docs/images/flows.svg': renderFlows,
  ...DASHBOARD_PAGES,
};

const check = process.argv.includes('--check');
let stale = 0;
for (const [path, render] of Object.entries(PAGES)) {
  const file = join(ROOT, path);
  const text = render();
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  stale++;
  if (check) {
    console.error(`${path} is not up to date: run \`node scripts/docs.ts\``);
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    console.log(`docs: ${path}`);
  }
}
if (check && stale > 0) process.exitCode = 1;
