/** A log that does not answer keeps no backend out, and tells operators that their change waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startControl } from '../../src/control/control.ts';
import { Mesh } from '../../src/core/mesh.ts';
import { DrainServerRequest, DrainServerResponse } from '../../src/gen/heapmesh/v1/admin.ts';
import { durationOf } from '../../src/grpc/duration.ts';
import { BackendStream, configOf } from './rig.ts';
import { call, connect } from './support.ts';

test('registrations are answered while the log is away, and hold', { timeout: 20_000 }, async () => {
  const mesh = new Mesh({
    instanceId: 'lb-1',
    epoch: 1,
    append: () => {},
    wallClock: Date.now,
    clock: () => performance.now(),
    random: Math.random,
  });
  const control = await startControl({ mesh, config: configOf(), welcomesUnkept: true });
  const client = connect(control.address);
  try {
    const backend = new BackendStream(client);
    assert.equal((await backend.register()).id, 'a');
    assert.equal(mesh.registry.get('a')?.state, 'WARMING');
    assert.equal(mesh.registry.pending, 1, 'the log has not answered');

    const request = { id: 'a', timeout: durationOf(1_000), cause: '' };
    const path = '/heapmesh.v1.AdminService/DrainServer';
    await assert.rejects(call(client, path, DrainServerRequest, DrainServerResponse, request), {
      details: /in force on lb-1, and waits for the log/,
    });
    assert.equal(mesh.registry.get('a')?.state, 'DRAINING');
  } finally {
    client.close();
    await control.close(0);
  }
});
