import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Body, Entry, Proposal } from '../../src/core/entries.ts';
import { Registry } from '../../src/core/registry.ts';
import { LogLink } from '../../src/state/follow.ts';
import type { Log } from '../../src/state/log.ts';
import { MemoryLog } from '../../src/state/memory-log.ts';

const claim: Body = {
  kind: 'claim',
  source: 'config',
  spec: {
    id: 'a',
    address: 'a.test:1',
    services: ['*'],
    weight: 1,
    zone: '',
    labels: {},
    maxConcurrency: 0,
    standby: false,
  },
};

function registryOn(link: LogLink, instanceId = 'lb-1'): Registry {
  return new Registry({ instanceId, epoch: 1, append: link.append, wallClock: () => 0 });
}

test('proposals go to the log and come back as entries', async () => {
  const log = new MemoryLog();
  const link = new LogLink(log);
  const registry = registryOn(link);
  await assert.rejects(registry.propose(claim, 'too early'), /follow\(\) first/);
  link.follow(registry);
  assert.deepEqual(await registry.propose(claim, 'config'), { position: 1, applied: true, why: '' });
  assert.equal(registry.pending, 0);
  assert.equal(log.last, 1);
  assert.throws(() => link.follow(registry), /already/);

  const other = new LogLink(log);
  const second = registryOn(other, 'lb-2');
  other.follow(second);
  assert.equal(second.digest(), registry.digest());
  await second.propose({ kind: 'remove', id: 'a' }, 'operator');
  assert.equal(registry.get('a'), undefined);

  link.stop();
  link.stop();
  await second.propose({ kind: 'undrain', id: 'a' }, 'operator');
  assert.equal(registry.position, 2);
});

test('what the log cannot keep is rejected with its reason and taken back', async () => {
  const log = new MemoryLog();
  const link = new LogLink(log);
  const registry = registryOn(link);
  link.follow(registry);
  await log.close();
  const failing = registry.propose(claim, 'config');
  assert.equal(registry.get('a')?.state, 'WARMING', 'until the log has said so');
  await assert.rejects(failing, (error: Error) => {
    assert.equal(
      error.message,
      'the log could not keep the change: the log is closed: it takes no more entries',
    );
    assert(error.cause instanceof Error);
    return true;
  });
  assert.equal(registry.get('a'), undefined);
});

test('a log that throws, or rejects with what is no error, rejects the proposal', async () => {
  const fail = [
    () => {
      throw new Error('broken');
    },
    () => Promise.reject('no room'),
  ];
  for (const [append, expected] of [
    [fail[0], /broken/],
    [fail[1], /could not keep the change: no room/],
  ] as const) {
    const log = {
      first: 1,
      last: 0,
      append,
      follow: () => () => {},
      close: async () => {},
    } as unknown as Log;
    const link = new LogLink(log);
    const registry = registryOn(link);
    link.follow(registry);
    await assert.rejects(registry.propose(claim, 'config'), expected);
    assert.equal(registry.pending, 0);
  }
});

test('a registry that the log no longer reaches back to is told, and may follow another', () => {
  const link = new LogLink(new MemoryLog());
  const ahead = { position: 9, ingest: (_: Entry) => {}, reject: (_: number) => {} };
  assert.throws(() => link.follow(ahead), RangeError);
  assert.throws(() => link.append({} as Proposal), /follow\(\) first/);
  link.follow(registryOn(link));
});
