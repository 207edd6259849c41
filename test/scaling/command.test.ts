/** More servers by a program of the user's: it starts one that registers itself, or prints an address, or fails. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { callerOf, SERVICE, startBackend, startBalancer, until } from './rig.ts';

const BACKEND = fileURLToPath(new URL('./backend-process.ts', import.meta.url));
const NODE = [process.execPath, '--conditions=heapmesh-source'];

/** A program of a few lines, in a folder that goes with the test, and so do processes whose ids are in its file `pids`. */
function program(t: TestContext, source: string): { readonly command: string[]; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-scaling-'));
  t.after(() => {
    const pids = join(folder, 'pids');
    for (const pid of existsSync(pids) ? readFileSync(pids, 'utf8').trim().split('\n') : []) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // The program has ended it.
      }
    }
    rmSync(folder, { recursive: true });
  });
  const file = join(folder, 'start.ts');
  writeFileSync(file, source);
  return { command: [...NODE, file], folder };
}

const rule = (command: readonly string[], more: object = {}) => ({
  for: '200ms',
  cooldown: '300ms',
  scaleIn: { below: 0.3, for: '400ms' },
  provider: 'command',
  command,
  commandTimeout: '15s',
  ...more,
});

for (const name of ['HEAPMESH_SERVER_ID', "'its-own-name'"]) {
  test(`a server that registers itself, as ${name}: it gets the reason, joins, and is taken away when it is not needed any more`, t =>
    registersItself(t, name));
}

/** @param name what the server takes as its id, as the program has it */
async function registersItself(t: TestContext, name: string): Promise<void> {
  const { command, folder } = program(
    t,
    `
    import { spawn } from 'node:child_process';
    import { appendFileSync, readFileSync } from 'node:fs';
    const { HEAPMESH_ACTION, HEAPMESH_SERVER_ID, HEAPMESH_CONTROL } = process.env;
    const here = import.meta.dirname;
    const told = Object.entries(process.env).filter(([name]) => name.startsWith('HEAPMESH_'));
    appendFileSync(here + '/told', JSON.stringify(Object.fromEntries(told)) + '\\n');
    if (HEAPMESH_ACTION === 'add') {
      const args = ['--conditions=heapmesh-source', ${JSON.stringify(BACKEND)}, ${name}, HEAPMESH_CONTROL];
      const child = spawn(process.execPath, args, { detached: true, stdio: 'ignore' });
      appendFileSync(here + '/pids', child.pid + '\\n');
      child.unref();
    } else {
      for (const pid of readFileSync(here + '/pids', 'utf8').trim().split('\\n')) process.kill(Number(pid), 'SIGKILL');
    }`,
  );
  const balancer = await startBalancer(t, rule(command));
  const { mesh, addresses } = balancer;
  const a = await startBackend(t, balancer, 'a');
  a.says(0.9);
  const added = () => [...mesh.registry.list()].find(({ spec }) => spec.id !== 'a');
  await until(() => added() !== undefined, 'a new server', 20_000);
  const id = added()?.spec.id ?? '';
  assert.deepEqual(added()?.sources, ['stream']);
  const told = () =>
    readFileSync(join(folder, 'told'), 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
  const [first] = told();
  const asked = first.HEAPMESH_SERVER_ID;
  assert.match(asked, /^echo\.v1\.EchoService-[0-9a-f]{8}$/);
  assert.equal(id, name === 'HEAPMESH_SERVER_ID' ? asked : 'its-own-name');
  assert.match(first.HEAPMESH_CAUSE, /^a is at 90 % and has been over the threshold 80 % for 0\.\d s/);
  assert.deepEqual(
    { ...first, HEAPMESH_CAUSE: '' },
    {
      HEAPMESH_ACTION: 'add',
      HEAPMESH_SERVER_ID: asked,
      HEAPMESH_SERVICE: SERVICE,
      HEAPMESH_REASON: 'load',
      HEAPMESH_CAUSE: '',
      HEAPMESH_SERVER: 'a',
      HEAPMESH_CONTROL: addresses.control,
    },
  );
  await until(() => balancer.scaling()?.decisions[0]?.server === id, 'the decision names it');
  assert.deepEqual(balancer.scaling()?.pools[0]?.added, [id]);
  // Quiet: the new one says 0.5, so that the mean is a matter of the first.
  a.says(0.01);
  await until(() => told().length === 2, 'the second run');
  assert.deepEqual([told()[1].HEAPMESH_ACTION, told()[1].HEAPMESH_SERVER_ID], ['remove', id]);
  await until(() => added() === undefined || added()?.state === 'EJECTED', 'it is gone');
}

test('an address on its output is a server; one that fails or prints nonsense is tried again, and told', async t => {
  const { command, folder } = program(
    t,
    `
    import { appendFileSync, existsSync, readFileSync } from 'node:fs';
    const here = import.meta.dirname;
    appendFileSync(here + '/runs', '.');
    const runs = readFileSync(here + '/runs', 'utf8').length;
    if (runs === 1) {
      console.error('no more machines');
      process.exitCode = 3;
    } else {
      console.log('starting ...');
      console.log(readFileSync(here + '/address', 'utf8'));
    }`,
  );
  // A server that does not speak of itself.
  const balancer = await startBalancer(t, rule(command, { commandAttempts: 2 }));
  const other = await startBalancer(t, {});
  const spare = await startBackend(t, other, 'spare');
  writeFileSync(join(folder, 'address'), spare.address);
  const a = await startBackend(t, balancer, 'a');
  const { mesh } = balancer;
  const { call } = callerOf(t, balancer);
  assert.equal(await call(), 'a');
  a.process.kill('SIGKILL');
  const added = () => [...mesh.registry.list()].find(({ spec }) => spec.id !== 'a');
  await until(() => added() !== undefined, 'a new server', 20_000);
  assert.deepEqual(
    [added()?.spec.address, added()?.spec.services, added()?.sources, added()?.cause],
    [spare.address, [SERVICE], ['command'], 'a fails'],
  );
  assert.equal(await call(), 'spare');
  assert.equal(readFileSync(join(folder, 'runs'), 'utf8'), '..');
});

test('a program that is not there, one that hangs, and one whose server does not come: decisions say why', async t => {
  const { command } = program(t, 'setInterval(() => {}, 1_000);');
  const quiet = program(t, '');
  for (const [program, timeout, why] of [
    [['/nonexistent/program'], '5s', /^none came: '\/nonexistent\/program' cannot be run: spawn .*ENOENT$/],
    [command, '700ms', /^none came: '.*node' had not ended after 700 ms$/],
    [
      quiet.command,
      '1500ms',
      /^none came: '.*' neither printed an address nor did .* register within 1500 ms$/,
    ],
  ] as const) {
    const settings = rule(program, { commandTimeout: timeout, commandAttempts: 1 });
    const balancer = await startBalancer(t, settings);
    const a = await startBackend(t, balancer, 'a');
    a.process.kill('SIGKILL');
    const decisions = () => balancer.scaling()?.decisions ?? [];
    await until(() => decisions()[0]?.result !== '' && decisions().length > 0, 'the end of it', 20_000);
    assert.match(decisions()[0]?.result ?? '', why);
    assert.equal(decisions()[0]?.done, false);
  }
});
