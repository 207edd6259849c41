import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LEASE_ID_LENGTH, LeaseIds, NoLease } from '../../src/control/lease-id.ts';
import { Outcome } from '../../src/core/core.ts';
import { LeaseKind } from '../../src/core/load-table.ts';
import { claim, makeMesh, SERVICE } from './rig.ts';

function issuer(instanceId = 'lb-1', epoch = 1_700_000_000_000) {
  const mesh = makeMesh(instanceId);
  claim(mesh);
  const ids = new LeaseIds(instanceId, epoch, mesh.leases);
  const bytes = Buffer.alloc(LEASE_ID_LENGTH + 2, '.');
  return {
    mesh,
    ids,
    issue(): { lease: number; id: string } {
      const lease = mesh.pool(SERVICE)?.pick(0, LeaseKind.LEASED) ?? -1;
      ids.issue(lease, bytes, 1);
      assert.equal(bytes[0], 0x2e);
      assert.equal(bytes[LEASE_ID_LENGTH + 1], 0x2e);
      return { lease, id: bytes.toString('latin1', 1, LEASE_ID_LENGTH + 1) };
    },
  };
}

describe('lease ids', () => {
  it('lead back to their leases, over many rows and lives of a row', () => {
    const { mesh, ids, issue } = issuer();
    const open = new Map<string, number>();
    const closed: string[] = [];
    for (let i = 0; i < 5000; i++) {
      const { lease, id } = issue();
      assert.match(id, /^[A-Za-z0-9_-]{40}$/);
      assert.ok(!open.has(id));
      open.set(id, lease);
      if (i % 3 !== 0) continue;
      const [oldest] = open.keys();
      assert.equal(mesh.leases.complete(open.get(oldest as string) as number, 0, Outcome.SUCCESS, 1), true);
      open.delete(oldest as string);
      closed.push(oldest as string);
    }
    for (const [id, lease] of open) assert.equal(ids.find(id), lease);
    for (const id of closed) assert.equal(ids.find(id), NoLease.UNKNOWN);
  });

  it('differ in all of their secret, also of one row', () => {
    const { mesh, issue } = issuer();
    const secrets = new Set<string>();
    for (let i = 0; i < 2000; i++) {
      const { lease, id } = issue();
      secrets.add(id.slice(-18));
      mesh.leases.complete(lease, 0, Outcome.SUCCESS, 1);
    }
    assert.equal(secrets.size, 2000);
  });

  it('cannot be made from another one', () => {
    const { ids, issue } = issuer();
    const { id } = issue();
    for (let at = 0; at < id.length; at++) {
      const other = id[at] === 'A' ? 'B' : 'A';
      const forged = id.slice(0, at) + other + id.slice(at + 1);
      assert.ok(ids.find(forged) < 0, `character ${at}`);
    }
    for (const forged of ['', id.slice(1), `${id}A`, id.replaceAll(/./g, '='), '\u{10ffff}'.repeat(20)]) {
      assert.equal(ids.find(forged), NoLease.UNKNOWN);
    }
  });

  it('name their instance and its life', () => {
    const one = issuer('lb-1', 1);
    const { id } = one.issue();
    assert.equal(issuer('lb-2', 1).ids.find(id), NoLease.FOREIGN);
    assert.equal(issuer('lb-1', 2).ids.find(id), NoLease.UNKNOWN);
  });
});
