import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { registerHeapmesh } from 'heapmesh/client';
import { Backend, type ScriptedBalancer, Stack, who } from './support.ts';

registerHeapmesh(grpc);

const pem = (name: string) => readFileSync(new URL(`fixtures/${name}.pem`, import.meta.url));
const serverCredentials = (name: string) =>
  grpc.ServerCredentials.createSsl(null, [
    { private_key: pem(`${name}-key`), cert_chain: pem(`${name}-cert`) },
  ]);

describe('a heapmesh:// channel over TLS', () => {
  let stack: Stack;
  let lb: ScriptedBalancer;

  beforeEach(async () => {
    stack = new Stack();
    lb = await stack.balancer();
  });
  afterEach(() => stack.end());

  async function backend(certificate: string): Promise<void> {
    const started = await Backend.start('a', 0, serverCredentials(certificate));
    stack.add(started, one => one.kill());
    lb.first = { upserted: [started.entry()] };
  }

  const client = (root: string, options: grpc.ChannelOptions = {}) =>
    stack.client(lb.target(), options, grpc.credentials.createSsl(pem(`${root}-cert`)));

  it('checks a certificate against the address of its server', async () => {
    await backend('address');
    assert.equal(await who(client('address')), 'a');
  });

  it('refuses one for another name', async () => {
    await backend('name');
    await assert.rejects(who(client('name')), {
      code: grpc.status.UNAVAILABLE,
      details: /not reachable .*(altnames|does not match)/,
    });
  });

  it('takes a name for all servers by option', async () => {
    await backend('name');
    assert.equal(await who(client('name', { 'grpc.ssl_target_name_override': 'backend.test' })), 'a');
  });

  it('refuses one that it has no root for', async () => {
    await backend('address');
    await assert.rejects(who(client('name')), {
      code: grpc.status.UNAVAILABLE,
      details: /not reachable .*self.signed/,
    });
  });

  it('makes calls with call credentials, which wait until these are there', async () => {
    await backend('address');
    const token = grpc.credentials.createFromMetadataGenerator((_context, done) => {
      const metadata = new grpc.Metadata();
      metadata.set('authorization', 'Bearer t');
      setImmediate(() => setImmediate(() => done(null, metadata)));
    });
    const both = grpc.credentials.combineChannelCredentials(
      grpc.credentials.createSsl(pem('address-cert')),
      token,
    );
    const secured = stack.client(lb.target(), {}, both);
    assert.equal(await who(secured), 'a');
  });
});
