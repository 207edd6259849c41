/** What is in deploy/, held against the schemas of those who read it, and against what it speaks of. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { pinnedEnv, ROOT } from '../../scripts/lib/project.ts';
import { toolPath } from '../../scripts/tools/install.ts';
import type { ToolName } from '../../scripts/tools/table.ts';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { parseDuration } from '../../src/config/units.ts';
import { startProgram } from '../support/program.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const CONTAINER = 'deploy/Containerfile';
const COMPOSE = 'deploy/compose/compose.yaml';
const MANIFESTS = ['serviceaccount', 'configmap', 'services', 'statefulset', 'poddisruptionbudget'].map(
  name => `deploy/kubernetes/${name}.yaml`,
);

function run(tool: ToolName, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(toolPath(tool), args, { cwd: ROOT, encoding: 'utf8' });
  assert.equal(status, 0, `${tool} ${args.join(' ')}:\n${stdout}${stderr}`);
}

/** What an instance makes of a configuration; nothing in it may be without effect. */
function configuration(text: string): Config {
  const { config, warnings } = loadConfig(text, {
    file: 'heapmesh.yaml',
    hostname: 'heapmesh-0',
    flags: { insecure: true, advertise: '10.0.0.1' },
  });
  assert.deepEqual(warnings, []);
  return config;
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: the schema of a kind has been checked by then
  readonly [field: string]: any;
}
const manifests = MANIFESTS.flatMap(file =>
  parseAllDocuments(read(file)).map(document => document.toJS() as Manifest),
);
const manifest = (kind: string, name = 'heapmesh'): Manifest => {
  const found = manifests.find(each => each.kind === kind && each.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
};

test('the container file passes its linter', () => run('hadolint', ['--no-color', join(ROOT, CONTAINER)]));

test('the container has the Node of the lock file, and copies what is there', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { version: string }>;
  };
  const images = [...read(CONTAINER).matchAll(/^FROM (\S+)/gm)].map(match => match[1]);
  const node = `node:${packages['node_modules/node']?.version}-bookworm-slim`;
  assert.deepEqual(images, [node, node, 'heapmesh']);
  const copied = [...read(CONTAINER).matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(match =>
    (match[1] as string).split(' '),
  );
  assert.ok(copied.length > 5);
  for (const path of copied) assert.ok(existsSync(join(ROOT, path)), path);
});

test('what the container installs is enough to serve', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-container-'));
  try {
    for (const file of ['package.json', 'package-lock.json', '.npmrc', 'dist', 'proto']) {
      cpSync(join(ROOT, file), join(folder, file), { recursive: true });
    }
    const install = ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'];
    assert.ok(read(CONTAINER).includes(`npm ${install.join(' ')}`));
    execFileSync('npm', install, { cwd: folder, stdio: 'pipe', env: pinnedEnv() });
    const any = '127.0.0.1:0';
    const listen = ['--proxy', any, '--control', any, '--admin', any, '-o', 'json'];
    const announced = Promise.withResolvers<string>();
    const main = join(folder, 'dist/cli/main.js');
    const program = await startProgram(process.execPath, [main, 'serve', ...listen], {
      onLine: line => announced.resolve(line),
    });
    void program.ended.then(end => announced.reject(new Error(`ended (${end}): ${program.printed()}`)));
    try {
      const { admin } = JSON.parse(await announced.promise) as { admin: string };
      assert.equal((await fetch(`http://${admin}/readyz`)).status, 200);
    } finally {
      await program.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('manifests are what Kubernetes takes, of the newest version and of the oldest that has all of it', () => {
  const { resources } = parseYaml(read('deploy/kubernetes/kustomization.yaml')) as { resources: string[] };
  assert.deepEqual(resources.map(name => `deploy/kubernetes/${name}`).sort(), [...MANIFESTS].sort());
  for (const version of ['1.30', '1.37']) {
    run('kubernetes-validate', ['--strict', '--no-warn', '-k', version, ...MANIFESTS]);
  }
});

test('the manifests fit each other', () => {
  const set = manifest('StatefulSet').spec;
  const labels = set.template.metadata.labels as Record<string, string>;
  const pod = set.template.spec;
  const [container] = pod.containers;
  const ports = container.ports.map((port: { name: string }) => port.name);
  for (const service of [manifest('Service'), manifest('Service', 'heapmesh-peers')]) {
    assert.deepEqual(service.spec.selector, labels);
    for (const port of service.spec.ports) assert.ok(ports.includes(port.targetPort), port.name);
  }
  assert.deepEqual(set.selector.matchLabels, labels);
  assert.deepEqual(manifest('PodDisruptionBudget').spec.selector.matchLabels, labels);
  assert.equal(set.serviceName, manifest('Service', 'heapmesh-peers').metadata.name);
  assert.equal(pod.serviceAccountName, manifest('ServiceAccount').metadata.name);
  assert.equal(pod.securityContext.runAsNonRoot, true);
  assert.equal(container.readinessProbe.httpGet.path, '/readyz');
  assert.equal(container.livenessProbe.httpGet.path, '/healthz');
});

test('the configuration of the manifests is taken whole, and the pod lives as long as its drain', () => {
  const config = configuration(manifest('ConfigMap').data['heapmesh.yaml']);
  assert.equal(config.instance.advertise.control, '10.0.0.1:4701');
  const pod = manifest('StatefulSet').spec.template.spec;
  const [container] = pod.containers;
  const before = container.lifecycle.preStop.sleep.seconds as number;
  assert.ok(pod.terminationGracePeriodSeconds > before + config.proxy.drainTimeoutMs / 1_000);
  for (const { name, containerPort } of container.ports as {
    name: 'proxy' | 'control' | 'admin';
    containerPort: number;
  }[]) {
    assert.ok(config[name].listen.endsWith(`:${containerPort}`), name);
  }
  const mounted = container.volumeMounts.map((mount: { mountPath: string }) => mount.mountPath);
  assert.ok(mounted.includes('/var/lib/heapmesh') && mounted.includes('/etc/heapmesh'));
  assert.ok(read(CONTAINER).includes('/var/lib/heapmesh'));
});

test('the compose file is what its specification says, and what it names is there', () => {
  run('check-jsonschema', ['--builtin-schema', 'vendor.compose-spec', COMPOSE]);
  const compose = parseYaml(read(COMPOSE)) as {
    services: Record<
      string,
      { build?: { dockerfile: string; target: string }; volumes?: string[]; stop_grace_period?: string }
    >;
    configs: Record<string, { content: string }>;
  };
  for (const { build, volumes = [] } of Object.values(compose.services)) {
    if (build !== undefined) {
      assert.equal(build.dockerfile, CONTAINER);
      assert.match(read(CONTAINER), new RegExp(`^FROM .* AS ${build.target}$`, 'm'));
    }
    for (const volume of volumes.filter(each => each.startsWith('.'))) {
      assert.ok(existsSync(join(ROOT, dirname(COMPOSE), volume.split(':')[0] as string)), volume);
    }
  }
  const config = configuration(compose.configs.heapmesh?.content ?? '');
  const grace = parseDuration(compose.services.heapmesh?.stop_grace_period ?? '');
  assert.ok(typeof grace === 'number' && grace > config.proxy.drainTimeoutMs);
});
