/**
 * A real Prometheus scrapes a real balancer that relays calls of every kind: it takes what it is told, the rules record
 * something, and every query of every dashboard has data.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLoadReporter, type LoadReporter } from 'heapmesh/backend';
import { createPickClient } from 'heapmesh/client';
import { ROOT } from '../../scripts/lib/project.ts';
import { toolPath } from '../../scripts/tools/install.ts';
import { type Balancer, compose } from '../../src/cli/compose.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Logger } from '../../src/telemetry/telemetry.ts';
import { type Caller, connectCaller, request } from '../support/h2/caller.ts';
import { type Arrival, answerOk, RESPONSE, startUpstream, type Upstream } from '../support/h2/upstream.ts';
import { Code, data, Flag, message, reset } from '../support/h2/wire.ts';
import { freePort, type Program, startListening } from '../support/program.ts';

const SERVICE = 'test.v1.Test';
const RULES = join(ROOT, 'deploy/prometheus');
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, setLevel() {}, level: 'info' };

let folder: string;
let balancer: Balancer;
let prometheus: Program;
let api: string;
let caller: Caller;
let upstreams: Upstream[];
const reporters: LoadReporter[] = [];
let working = true;
let work: Promise<void>;

/** Each call is a call for the reporter too; every fifth fails and is retried, every seventh is refused and moves. */
function backend(reporter: LoadReporter) {
  return (arrival: Arrival): void => {
    const call = reporter.callStarted();
    setTimeout(() => {
      const fails = arrival.nth % 5 === 0;
      call.end(fails ? 14 : 0);
      if (arrival.nth % 7 === 0) arrival.peer.send(reset(arrival.stream, Code.REFUSED_STREAM));
      else if (!fails) answerOk(arrival);
      else {
        const status = [...RESPONSE, ['grpc-status', '14'] as const];
        arrival.peer.sendHeaders(arrival.stream, status, Flag.END_STREAM);
      }
    }, 3);
  };
}

async function work1(): Promise<void> {
  const picks = createPickClient({ balancers: [balancer.addresses.control], service: SERVICE });
  const open = caller.open();
  while (working) {
    caller.send(data(open, message(Buffer.from('one more'))));
    // More at once than the backends have streams for.
    const calls = Array.from({ length: 40 }, () => caller.call());
    await Promise.all([...calls, caller.call(request(`/${SERVICE}/Other`))]);
    const given = caller.open();
    await sleep(5);
    caller.send(reset(given, Code.CANCEL));
    const { lease } = await picks.pick();
    lease.complete({ latencyMs: 2 });
    await sleep(5);
  }
  caller.send(data(open, Buffer.alloc(0), Flag.END_STREAM));
  await picks.close();
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heapmesh-prometheus-'));
  const listen = { listen: '127.0.0.1:0' };
  const text = JSON.stringify({
    proxy: listen,
    admin: listen,
    control: { ...listen, reportInterval: '100ms' },
    pools: [{ service: '*', retry: { codes: ['UNAVAILABLE'], attempts: 2, budget: 1 } }],
    // Spans go nowhere; calls have the numbers of their traces all the same.
    telemetry: { traces: { endpoint: 'http://127.0.0.1:9', sampleRatio: 1 } },
  });
  balancer = await compose(loadConfig(text, { file: 'test', hostname: 'lb-1' }).config, { logger: silent });
  upstreams = await Promise.all(
    ['a', 'b'].map(async id => {
      const reporter = createLoadReporter({
        balancers: [balancer.addresses.control],
        services: [SERVICE],
        id,
        applicationUtilization: () => 0.4,
      });
      reporters.push(reporter);
      const upstream = await startUpstream({ settings: [[3, 1]], onStream: backend(reporter) });
      await reporter.start({ address: upstream.address });
      return upstream;
    }),
  );
  caller = await connectCaller(balancer.addresses.proxy, { connectionWindow: 1 << 30 });
  work = work1();
  work.catch(() => {});

  const port = await freePort();
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [join(RULES, 'heapmesh.rules.yml')],
    scrape_configs: [{ job_name: 'heapmesh', static_configs: [{ targets: [balancer.addresses.admin] }] }],
  };
  // YAML is a superset of JSON.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const flags = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--enable-feature=exemplar-storage',
  ];
  prometheus = await startListening(toolPath('prometheus'), flags, port);
  api = `http://127.0.0.1:${port}/api/v1`;
});

after(async () => {
  working = false;
  await work?.catch(() => {});
  await prometheus?.stop();
  caller?.socket.destroy();
  await Promise.all(reporters.map(reporter => reporter.close()));
  await balancer?.close();
  await Promise.all((upstreams ?? []).map(upstream => upstream.close()));
  rmSync(folder, { recursive: true, force: true });
});

interface Result {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

async function ask<T>(path: string, parameters: Record<string, string>): Promise<T> {
  const answer = await fetch(`${api}/${path}?${new URLSearchParams(parameters)}`);
  const { status, error, data: found } = (await answer.json()) as { status: string; error?: string; data: T };
  assert.equal(status, 'success', `${JSON.stringify(parameters)}: ${error}`);
  return found;
}

const query = async (expression: string): Promise<readonly Result[]> =>
  (await ask<{ result: readonly Result[] }>('query', { query: expression })).result;

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(performance.now() < end, `${what}, after 20 s`);
    await sleep(200);
  }
}

test('promtool finds nothing to say of the metrics', async () => {
  const answer = await fetch(`http://${balancer.addresses.admin}/metrics`);
  const text = await answer.text();
  const { promise, resolve } = Promise.withResolvers<string>();
  const child = execFile(toolPath('promtool'), ['check', 'metrics'], (error, stdout, stderr) =>
    resolve(`${error === null ? '' : `exit ${error.code}\n`}${stdout}${stderr}`),
  );
  child.stdin?.end(text);
  assert.equal(await promise, '');
});

test('the rules hold what their tests say', async () => {
  for (const args of [
    ['check', 'rules', 'heapmesh.rules.yml'],
    ['test', 'rules', 'heapmesh.test.yml'],
  ]) {
    const { promise, resolve } = Promise.withResolvers<string>();
    execFile(toolPath('promtool'), args, { cwd: RULES }, (error, stdout, stderr) =>
      resolve(error === null ? '' : `${stdout}${stderr}`),
    );
    assert.equal(await promise, '');
  }
  const tested = readFileSync(join(RULES, 'heapmesh.test.yml'), 'utf8');
  const alerts = [...readFileSync(join(RULES, 'heapmesh.rules.yml'), 'utf8').matchAll(/- alert: (\w+)/g)];
  assert.ok(alerts.length > 10);
  for (const [, name] of alerts) assert.ok(tested.includes(`alertname: ${name}`), `${name} has no test`);
});

test('Prometheus takes every scrape, as OpenMetrics', async () => {
  await until('three scrapes', async () => {
    const [up] = await query('sum_over_time(up{job="heapmesh"}[20s])');
    return up !== undefined && Number(up.value[1]) >= 3 ? up : undefined;
  });
  const { activeTargets } = await ask<{ activeTargets: { lastError: string; health: string }[] }>(
    'targets',
    {},
  );
  assert.deepEqual(
    activeTargets.map(({ lastError, health }) => [health, lastError]),
    [['up', '']],
  );
  const now = Date.now() / 1000;
  const exemplars = await ask<{ exemplars: { labels: { trace_id: string } }[] }[]>('query_exemplars', {
    query: 'heapmesh_call_duration_seconds_bucket',
    start: String(now - 60),
    end: String(now + 1),
  });
  assert.match(exemplars[0]?.exemplars[0]?.labels.trace_id ?? '', /^[0-9a-f]{32}$/);
});

test('the rules record what they are for', async () => {
  const { groups } = await until('rules that were evaluated', async () => {
    const found = await ask<{ groups: { rules: { name: string; type: string; health: string }[] }[] }>(
      'rules',
      {},
    );
    return found.groups.every(group => group.rules.every(rule => rule.health !== 'unknown'))
      ? found
      : undefined;
  });
  const rules = groups.flatMap(group => group.rules);
  assert.deepEqual(
    rules.filter(rule => rule.health !== 'ok'),
    [],
  );
  for (const { name } of rules.filter(rule => rule.type === 'recording')) {
    await until(`${name} has data`, async () => (await query(name))[0]);
  }
  const [ratio] = await query(`backend:heapmesh_attempt_failures:ratio5m{backend="a"}`);
  const failed = Number(ratio?.value[1]);
  assert.ok(failed > 0.02 && failed < 0.5, `every fifth attempt fails, the rule says ${failed}`);
});

test('every query of every dashboard has data', async () => {
  const files = readdirSync(join(ROOT, 'deploy/grafana')).filter(name => name.endsWith('.json'));
  assert.equal(files.length, 3);
  let queries = 0;
  const empty: string[] = [];
  for (const file of files) {
    const { panels, templating } = JSON.parse(readFileSync(join(ROOT, 'deploy/grafana', file), 'utf8')) as {
      panels: { title: string; targets?: { expr: string }[] }[];
      templating: { list: { definition?: string }[] };
    };
    const all = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
    for (const { definition } of templating.list) {
      const series = /^label_values\((.*), \w+\)$/.exec(definition ?? '')?.[1];
      if (series !== undefined) all.push({ title: 'variable', expr: series });
    }
    for (const { title, expr } of all) {
      queries++;
      const filled = expr.replaceAll('$__rate_interval', '10s').replaceAll(/\$(instance|pool)/g, '.*');
      const found = await query(filled);
      // Of a quantile without any call Prometheus says NaN.
      if (found.length === 0 || found.every(({ value }) => value[1] === 'NaN'))
        empty.push(`${file}: ${title}: ${filled}`);
    }
  }
  assert.ok(queries > 60, `${queries} queries`);
  assert.deepEqual(empty, []);
});
