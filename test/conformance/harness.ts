/** What the conformance files share: the proxy that is tested, and backends that are there while a test runs. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { toolPath } from '../../scripts/tools/install.ts';
import { type Caller, type CallerOptions, connectCaller } from '../support/h2/caller.ts';
import { startUpstream, type Upstream, type UpstreamOptions } from '../support/h2/upstream.ts';
import { freePort, type Program, startListening } from '../support/program.ts';
import { type ProxyOptions, proxyUnderTest, type RunningProxy } from '../support/proxy-under-test.ts';

export const proxy = proxyUnderTest();

/** The proxy, until the test ends. */
export async function proxyFor(
  t: TestContext,
  backends: readonly string[],
  options: ProxyOptions = {},
): Promise<RunningProxy> {
  const running = await proxy.start(backends, options);
  t.after(() => running.stop());
  return running;
}

/** A raw backend, until the test ends. */
export async function upstreamFor(t: TestContext, options: UpstreamOptions = {}): Promise<Upstream> {
  const upstream = await startUpstream(options);
  t.after(() => upstream.close());
  return upstream;
}

/** A raw caller, until the test ends. */
export async function callerFor(
  t: TestContext,
  address: string,
  options: CallerOptions = {},
): Promise<Caller> {
  const caller = await connectCaller(address, options);
  t.after(() => caller.socket.destroy());
  return caller;
}

/** grpc-go's interop servers, until the test ends. */
export async function interopServers(
  t: TestContext,
  count: number,
): Promise<Program[] & { addresses: string[] }> {
  const servers: Program[] & { addresses: string[] } = Object.assign([], { addresses: [] });
  for (let n = 0; n < count; n++) {
    const port = await freePort();
    const server = await startListening(toolPath('grpc-interop-server'), ['-port', String(port)], port);
    t.after(() => server.stop(0));
    servers.push(server);
    servers.addresses.push(`127.0.0.1:${port}`);
  }
  return servers;
}

/** The path that `nghttpd` answers with a gRPC response: 100 bytes that are one message, and an OK. */
export const NGHTTPD_PATH = '/test.v1.Test/Call.grpc';

/** A folder for `nghttpd` with that path; the file's ending gives it its content type. */
export function nghttpdFolder(messageBytes: number): { folder: string; args: string[]; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'heapmesh-nghttpd-'));
  const file = join(folder, NGHTTPD_PATH);
  mkdirSync(dirname(file), { recursive: true });
  const message = Buffer.alloc(messageBytes + 5);
  message.writeUInt32BE(messageBytes, 1);
  writeFileSync(file, message);
  const types = join(folder, 'mime.types');
  writeFileSync(types, 'application/grpc grpc\n');
  const trailer = ['--trailer', 'grpc-status: 0'];
  return {
    folder,
    args: ['--no-tls', '-n1', '-d', folder, `--mime-types-file=${types}`, ...trailer, '-m', '1000'],
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** `nghttpd`, until the test ends. */
export async function nghttpdFor(t: TestContext): Promise<string> {
  const { args, remove } = nghttpdFolder(95);
  t.after(remove);
  const port = await freePort();
  const server = await startListening(toolPath('nghttpd'), [...args, String(port)], port, { quiet: true });
  t.after(() => server.stop(0));
  return `127.0.0.1:${port}`;
}
