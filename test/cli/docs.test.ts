import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderCli } from '../../scripts/docs/cli.ts';
import { CONFIG_EXAMPLE, renderConfig } from '../../scripts/docs/config.ts';
import { DASHBOARD_PAGES } from '../../scripts/docs/dashboards.ts';
import { renderFlows } from '../../scripts/docs/flows.ts';
import { renderMetrics } from '../../scripts/docs/metrics.ts';
import { ROOT } from '../../scripts/lib/project.ts';
import { loadConfig } from '../../src/config/config.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const STALE = 'is not up to date: run `node scripts/docs.ts`';

test('the reference of the configuration follows from the schema', () => {
  assert.equal(read('docs/reference/config.md'), renderConfig(), `docs/reference/config.md ${STALE}`);
});

test('the reference of the command line follows from the commands', () => {
  assert.equal(read('docs/reference/cli.md'), renderCli(), `docs/reference/cli.md ${STALE}`);
});

test('the guide to metrics follows from their catalogue', () => {
  assert.equal(read('docs/guides/metrics.md'), renderMetrics(), `docs/guides/metrics.md ${STALE}`);
});

test('dashboards follow from their list of panels', () => {
  for (const [path, render] of Object.entries(DASHBOARD_PAGES))
    assert.equal(read(path), render(), `${path} ${STALE}`);
});

test('the picture of the flows follows from its list of boxes and arrows', () => {
  assert.equal(read('docs/images/flows.svg'), renderFlows(), `docs/images/flows.svg ${STALE}`);
});

test('the example of the reference is a configuration without a warning', () => {
  assert.deepEqual(loadConfig(CONFIG_EXAMPLE, { file: 'example', hostname: 'h' }).warnings, []);
});
