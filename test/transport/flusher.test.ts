import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Flushable, Flusher } from '../../src/transport/flusher.ts';

/** Notes its writes; adds itself as a connection does, once until it is flushed. */
class Connection implements Flushable {
  writes = 0;
  private queued = false;
  private readonly flusher: Flusher;
  constructor(flusher: Flusher) {
    this.flusher = flusher;
  }
  output(): void {
    if (this.queued) return;
    this.queued = true;
    this.flusher.add(this);
  }
  flush(): void {
    this.queued = false;
    this.writes++;
  }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(() => setImmediate(resolve)));

/** One connection is read and has something to say to another. */
function read(flusher: Flusher, to: Connection): void {
  flusher.beginRead();
  to.output();
  to.output();
  flusher.endRead();
}

test('what many reads of a turn lead to is written once, at its end', async () => {
  const flusher = new Flusher();
  const to = new Connection(flusher);
  for (let i = 0; i < 5; i++) read(flusher, to);
  assert.equal(to.writes, 0);
  await turn();
  assert.equal(to.writes, 1);
});

test('output without a read is written at the end of the turn', async () => {
  const flusher = new Flusher();
  const to = new Connection(flusher);
  to.output();
  assert.equal(to.writes, 0);
  await turn();
  assert.equal(to.writes, 1);
});

test('where turns have one read each, it is written at once, until many come again', async () => {
  const flusher = new Flusher();
  const to = new Connection(flusher);
  for (let i = 0; i < 40; i++) {
    read(flusher, to);
    await turn();
  }
  assert.equal(to.writes, 40);
  read(flusher, to);
  assert.equal(to.writes, 41, 'at once');
  to.output();
  assert.equal(to.writes, 41, 'not within a read');
  await turn();
  assert.equal(to.writes, 42);
  // A turn with many.
  for (let i = 0; i < 100; i++) read(flusher, to);
  assert.equal(to.writes, 142);
  await turn();
  for (let i = 0; i < 100; i++) read(flusher, to);
  assert.equal(to.writes, 142, 'they are waited for again');
  await turn();
  assert.equal(to.writes, 143);
});

test('what is added while others write is written as well', async () => {
  const flusher = new Flusher();
  const last = new Connection(flusher);
  let more = 3;
  const first: Flushable = {
    flush() {
      if (more-- > 0) flusher.add(first);
      else last.output();
    },
  };
  flusher.add(first);
  while (last.writes === 0) await turn();
  assert.equal(more, -1);
});
