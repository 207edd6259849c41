/** The examples as a user runs them: processes of their own, with a balancer and the examples' backends. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Balancer, startBalancer } from './rig.ts';
import { eventually, SERVICE, Stack } from './support.ts';

const example = (name: string) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));

describe('the examples of callers', { timeout: 60_000 }, () => {
  const stack = new Stack();
  let lb: Balancer;

  function start(name: string, balancer = lb): ChildProcess {
    const child = spawn(process.execPath, ['--conditions=heapmesh-source', example(name)], {
      env: { ...process.env, BALANCER: balancer.address },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return stack.add(child, async one => {
      if (one.exitCode !== null || one.signalCode !== null) return;
      const exit = once(one, 'exit');
      one.kill('SIGKILL');
      await exit;
    });
  }

  /** What an example prints; it must end by itself. */
  async function run(name: string, balancer = lb): Promise<string> {
    const child = start(name, balancer);
    let output = '';
    child.stdout?.on('data', data => {
      output += data;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 0, output);
    return output;
  }

  before(async () => {
    lb = await startBalancer(stack);
    start('backend-plain.cjs');
    start('backend-grpc-js.ts');
    start('backend-nice-grpc.ts');
    await eventually(() => (lb.mesh.pool(SERVICE)?.eligible ?? 0) === 3, 'three backends are registered');
  });
  after(() => stack.end());

  it('client-channel.ts', async () => {
    const lines = (await run('client-channel.ts')).trim().split('\n');
    let calls = 0;
    for (const line of lines) {
      const [, count] = /^(\d+) calls answered by (?:plain|grpc-js|nice-grpc) \d+$/.exec(line) ?? [];
      calls += Number(count);
    }
    assert.equal(calls, 20, lines.join('\n'));
  });

  it('client-nice-grpc.ts', async () => {
    // The other examples serve one method.
    const own = await startBalancer(stack);
    start('backend-nice-grpc.ts', own);
    await eventually(() => own.mesh.pool(SERVICE)?.eligible === 1, 'the backend is registered');
    assert.match(
      await run('client-nice-grpc.ts', own),
      /^answered by nice-grpc \d+\n3 answers on one stream\n$/,
    );
  });

  it('client-pick.ts', async () => {
    const output = await run('client-pick.ts');
    assert.match(
      output,
      /^answered by .* \d+\nserver .* at 127\.0\.0\.1:\d+ answered too\n2 of 2 outcomes accepted\n$/,
    );
    assert.equal(lb.mesh.leases.open, 0);
  });

  it('client-plain.cjs', async () => {
    assert.match(await run('client-plain.cjs'), /^answered by (plain|grpc-js|nice-grpc) \d+\n$/);
  });
});
