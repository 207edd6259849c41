/**
 * `node scripts/conformance.ts [--proxy NAME] [NAME ...]`: the conformance cases of `test/conformance/`, all
 * or those that are named, on any proxy. On a peer they show what it does otherwise, and that the cases can fail.
 */
import { parseArgs } from 'node:util';
import { proxyUnderTest } from '../test/support/proxy-under-test.ts';
import { filesBelow } from './lib/project.ts';
import { runFiles } from './testing/files.ts';
import { endAll } from './testing/process.ts';
import { ensureTools } from './tools/install.ts';
import type { ToolName } from './tools/table.ts';

const SUFFIX = '.conformance.ts';
const NEEDS: readonly ToolName[] = [
  'h2spec',
  'h2spec-grpc',
  'nghttpd',
  'grpc-interop-server',
  'grpc-interop-client',
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { proxy: { type: 'string', default: 'heapmesh' } },
});
const proxy = proxyUnderTest(values.proxy);
const all = filesBelow('test/conformance').filter(file => file.endsWith(SUFFIX));
const files = all.filter(
  file => positionals.length === 0 || positionals.some(name => file.endsWith(`/${name}${SUFFIX}`)),
);
if (files.length === 0) {
  console.error(`conformance: no cases ${positionals.join(', ')}. There are:\n  ${all.join('\n  ')}`);
  process.exit(2);
}
process.env.HEAPMESH_TEST_PROXY = proxy.name;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    endAll();
    process.exit(1);
  });
}
await ensureTools([...NEEDS, ...proxy.needs]);
console.log(`conformance of ${proxy.version()}`);
const { passed, failed, skipped } = await runFiles(files, { say: line => console.log(line) });
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
