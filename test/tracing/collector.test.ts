/** The Jaeger that `make run TRACES=jaeger` builds where there is no other. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { collector } from '../../scripts/lib/jaeger.ts';
import { freePort } from '../support/program.ts';

/** Addresses that are listened on at a port, in hexadecimal as the kernel tells them. */
function listeners(port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return ['tcp', 'tcp6'].flatMap(table =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .filter(([, local, , state]) => local?.endsWith(`:${hex}`) && state === '0A')
      .map(([, local = '']) => local.slice(0, -5)),
  );
}

test('without a collector and an engine a Jaeger of its own, on loopback alone', async () => {
  const ports = { otlp: await freePort(), otlpHttp: await freePort(), query: await freePort() };
  const lines: string[] = [];
  const { endpoint, stop } = await collector(line => lines.push(line), ports, { PATH: '/nowhere' });
  try {
    assert.equal(endpoint, `http://127.0.0.1:${ports.otlp}`);
    for (const port of Object.values(ports)) assert.deepEqual(listeners(port), ['0100007F'], String(port));
    assert.match(lines.join('\n'), /which have no web page.*\/api\/traces\?service=heapmesh/s);
    const answer = await fetch(`http://127.0.0.1:${ports.query}/api/services`);
    assert.equal(answer.status, 200);
  } finally {
    await stop();
  }
  for (const port of Object.values(ports)) assert.deepEqual(listeners(port), []);
});
