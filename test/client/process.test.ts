/** Copies of grpc-js in one process, and processes that end with channels open. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { registerHeapmesh, requireHeapmesh } from 'heapmesh/client';
import { type Backend, type ScriptedBalancer, SERVICE, Stack, who } from './support.ts';

const require = createRequire(import.meta.url);

describe('processes and copies of grpc-js', { timeout: 30_000 }, () => {
  let folder: string;
  let stack: Stack;
  let lb: ScriptedBalancer;
  let backend: Backend;

  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'heapmesh-copies-')));
    const own = dirname(dirname(dirname(require.resolve('@grpc/grpc-js'))));
    const scope = join(folder, 'node_modules', '@grpc');
    mkdirSync(scope, { recursive: true });
    cpSync(own, join(scope, 'grpc-js'), { recursive: true });
    // What the copy needs in turn may be the same.
    const modules = dirname(dirname(own));
    symlinkSync(join(modules, '@grpc', 'proto-loader'), join(scope, 'proto-loader'));
    symlinkSync(join(modules, '@js-sdsl'), join(folder, 'node_modules', '@js-sdsl'));
  });
  after(() => rmSync(folder, { recursive: true }));

  beforeEach(async () => {
    stack = new Stack();
    lb = await stack.balancer();
    backend = await stack.backend('a');
    lb.first = { upserted: [backend.entry()] };
  });
  afterEach(() => stack.end());

  it('says where heapmesh:// is not registered on the copy that makes a channel, and serves both once it is', async () => {
    const copy: typeof grpc = createRequire(join(folder, 'app.js'))('@grpc/grpc-js');
    assert.notEqual(copy.Client, grpc.Client);
    const warned = once(process, 'warning');
    registerHeapmesh(grpc);
    const [warning] = (await warned) as [Error & { code: string }];
    assert.equal(warning.code, 'HEAPMESH_OTHER_GRPC');
    assert.ok(warning.message.includes(join(folder, 'node_modules')), warning.message);

    const lost = stack.add(new copy.Client(lb.target(), copy.credentials.createInsecure()), one =>
      one.close(),
    );
    assert.throws(() => requireHeapmesh(lost.getChannel()), {
      code: 'wrong-grpc',
      message: /another copy of grpc-js/,
    });
    await assert.rejects(who(lost as grpc.Client), {
      code: grpc.status.UNAVAILABLE,
      details: /dns:heapmesh:/,
    });

    registerHeapmesh(copy);
    registerHeapmesh(copy);
    const found = stack.add(new copy.Client(lb.target(), copy.credentials.createInsecure()), one =>
      one.close(),
    );
    requireHeapmesh(found.getChannel());
    assert.equal(await who(found as grpc.Client), 'a');
    const first = stack.client(lb.target());
    assert.equal(await who(first), 'a');
    assert.equal(lb.requests.length, 1, 'one watch for both copies');
  });

  it('refuses a module that is no grpc-js, or another one', () => {
    assert.throws(() => registerHeapmesh(undefined as never), {
      code: 'wrong-grpc',
      message: /hand in the module/,
    });
    assert.throws(() => registerHeapmesh({ experimental: {} } as never), {
      code: 'wrong-grpc',
      message: /lacks Client, .*experimental\.registerResolver/,
    });
    const newer = { ...grpc, experimental: { ...grpc.experimental, PickResultType: {} } };
    assert.throws(() => registerHeapmesh(newer), { message: /PickResultType\.COMPLETE = 0/ });
    const other = stack.client('127.0.0.1:1');
    assert.throws(() => requireHeapmesh(other.getChannel()), { message: /none of heapmesh:/ });
  });

  async function run(
    script: string,
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ output: string; errors: string }> {
    const child = spawn(
      process.execPath,
      ['--conditions=heapmesh-source', '--input-type=module', '-e', script],
      {
        env: { ...process.env, TARGET: lb.target(), BALANCER: lb.address, ...env },
        cwd: dirname(new URL(import.meta.url).pathname),
      },
    );
    stack.add(child, one => one.kill('SIGKILL'));
    let output = '';
    let errors = '';
    child.stdout.on('data', data => {
      output += data;
    });
    child.stderr.on('data', data => {
      errors += data;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 0, output + errors);
    return { output, errors };
  }

  const CALL = `
    import * as grpc from '@grpc/grpc-js';
    import { registerHeapmesh } from 'heapmesh/client';
    registerHeapmesh(grpc);
    const client = new grpc.Client(process.env.TARGET, grpc.credentials.createInsecure());
    const same = value => value;
    client.makeUnaryRequest('/${SERVICE}/Who', same, same, Buffer.alloc(0), { deadline: Date.now() + 5000 },
      (error, value) => console.log(error ? error.details : String(value)));`;

  it('ends with a channel open, whose watch goes on until then', async () => {
    assert.deepEqual(await run(CALL), { output: 'a\n', errors: '' });
  });

  it('ends where no balancer is there', async () => {
    lb.kill();
    const { output } = await run(CALL);
    assert.match(output, /no list of the servers/);
  });

  it('keeps a process alive that waits for a pick, and lets it end with leases open', async () => {
    lb.pick = () => ({ server: backend.entry(), leaseId: 'l', leaseTtl: { seconds: 10n, nanos: 0 } });
    const { output } = await run(`
      import { createPickClient } from 'heapmesh/client';
      const picks = createPickClient({ balancers: [process.env.BALANCER], service: '${SERVICE}' });
      const { server } = await picks.pick();
      console.log(server.id);`);
    assert.equal(output, 'a\n');
  });

  it('says where the HTTP proxy of the environment takes the channel', async () => {
    const { errors } = await run(CALL, { http_proxy: 'http://127.0.0.1:1' });
    assert.match(errors, /HEAPMESH_HTTP_PROXY.*goes to the HTTP proxy.*'grpc.enable_http_proxy': 0/);
    const fine = await run(
      CALL.replace('createInsecure()', "createInsecure(), { 'grpc.enable_http_proxy': 0 }"),
      {
        http_proxy: 'http://127.0.0.1:1',
      },
    );
    assert.deepEqual(fine, { output: 'a\n', errors: '' });
  });
});
