/**
 * h2spec against the proxy: as it is, where the proxy answers most cases by itself (its requests are no
 * gRPC calls), and with gRPC requests, which are relayed. Cases of both with the strict ones.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { toolPath } from '../../scripts/tools/install.ts';
import { startProgram } from '../support/program.ts';
import { NGHTTPD_PATH, nghttpdFor, proxyFor } from './harness.ts';
import { type Case, parseJUnit } from './junit.ts';

/** h2spec 2.2.1 has these many with `-S`. */
const CASES = 146;
/** What a case waits for an answer. Long enough for a busy machine; where all is well nothing waits. */
const TIMEOUT_SECONDS = 2;

async function run(form: 'h2spec' | 'h2spec-grpc', address: string, path: string): Promise<Case[]> {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-h2spec-'));
  try {
    const report = join(folder, 'report.xml');
    const [host = '', port = ''] = address.split(':');
    const args = ['-S', '-h', host, '-p', port, '-P', path, '-o', String(TIMEOUT_SECONDS), '-j', report];
    const program = await startProgram(toolPath(form), args);
    await program.ended;
    return parseJUnit(readFileSync(report, 'utf8'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function expectAll(t: TestContext, form: string, cases: readonly Case[]): Promise<void> {
  assert.equal(cases.length, CASES);
  for (const { name, result, why } of cases) {
    await t.test(`${form}: ${name}`, () => assert.equal(result, 'passed', `${result}: ${why}`));
  }
}

test('requests that are no gRPC calls', async t => {
  const { address } = await proxyFor(t, [await nghttpdFor(t)]);
  await expectAll(t, 'plain', await run('h2spec', address, NGHTTPD_PATH));
});

test('requests that are gRPC calls', async t => {
  const { address } = await proxyFor(t, [await nghttpdFor(t)]);
  await expectAll(t, 'gRPC', await run('h2spec-grpc', address, NGHTTPD_PATH));
});
