/** Header blocks remembered by their octets mean what they mean in the state that the table is in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldFlag, Http2Context } from '../../src/http2/http2.ts';
import { generator } from '../support/seed.ts';
import { type Field, ModelEncoder } from './hpack-model.ts';
import { block, frame, REQUEST, server, WHOLE } from './support.ts';

const head = block(REQUEST);
/** The newest entry of the dynamic table, and the one before it. */
const NEWEST = Buffer.from([0xbe]);
const SECOND = Buffer.from([0xbf]);
const insert = (name: string, value: string) => block([[name, value]], 0x40);

test('the same octets mean other fields once the table has changed', () => {
  const peer = server();
  let id = -1;
  const last = (...parts: Buffer[]): [string, string] | undefined => {
    id += 2;
    peer.receive(frame(1, WHOLE, id, Buffer.concat([head, ...parts])));
    peer.connection.reset(0, 8);
    assert.equal(peer.heads.at(-1)?.id, id);
    return peer.heads.at(-1)?.fields.at(-1);
  };
  last(insert('x-a', '1'));
  for (let i = 0; i < 5; i++) assert.deepEqual(last(NEWEST), ['x-a', '1']);
  last(insert('x-b', '2'));
  for (let i = 0; i < 5; i++) assert.deepEqual(last(NEWEST), ['x-b', '2']);
  for (let i = 0; i < 5; i++) assert.deepEqual(last(SECOND), ['x-a', '1']);
  // A size update empties the table; then the same octets are no HPACK any more.
  id += 2;
  peer.receive(frame(1, WHOLE, id, Buffer.concat([Buffer.from([0x20, 0x3f, 0xe1, 0x1f]), head])));
  peer.connection.reset(0, 8);
  assert.equal(peer.error?.fault, undefined);
  id += 2;
  peer.receive(frame(1, WHOLE, id, Buffer.concat([head, NEWEST])));
  assert.equal(peer.error?.fault, 'HPACK');
});

test('a block that changes the table changes it each time', () => {
  const peer = server();
  for (let id = 1; id < 21; id += 2) {
    peer.receive(frame(1, WHOLE, id, Buffer.concat([head, insert('x-a', '1')])));
    peer.connection.reset(0, 8);
  }
  // Ten entries are there, so that index 71 exists and 72 does not.
  peer.receive(frame(1, WHOLE, 21, Buffer.concat([head, Buffer.from([0x80 | 71])])));
  assert.equal(peer.error?.fault, undefined);
  assert.equal(peer.heads.at(-1)?.id, 21);
  assert.deepEqual(peer.heads.at(-1)?.fields.at(-1), ['x-a', '1']);
  peer.receive(frame(1, WHOLE, 23, Buffer.concat([head, Buffer.from([0x80 | 72])])));
  assert.equal(peer.error?.fault, 'HPACK');
});

test('callers that repeat themselves get the same list, across connections; others are decoded each time', () => {
  const context = new Http2Context();
  const serials = new Set<number>();
  for (let caller = 0; caller < 5; caller++) {
    const peer = server({}, context);
    peer.onHeaders = (slot, list) => {
      if (list.serial > 0) serials.add(list.serial);
      peer.connection.reset(slot, 8);
    };
    for (let id = 1; id < 21; id += 2) peer.receive(frame(1, WHOLE, id, head));
  }
  assert.equal(serials.size, 1);
  const peer = server({}, context);
  peer.onHeaders = (slot, list) => {
    assert.equal(list.serial, 0);
    peer.connection.reset(slot, 8);
  };
  for (let id = 1; id < 1001; id += 2) {
    peer.receive(frame(1, WHOLE, id, Buffer.concat([head, block([['x-trace', `${id}`]])])));
  }
  assert.equal(peer.heads.length, 500);
});

test('what is never to be indexed is not one with what may be', () => {
  const context = new Http2Context();
  const flags = [0x00, 0x10].map(pattern => {
    const peer = server({}, context);
    let seen = -1;
    peer.onHeaders = (slot, list) => {
      if (list.serial > 0) seen = list.field(list.count - 1).flags;
      peer.connection.reset(slot, 8);
    };
    for (let id = 1; id < 21; id += 2) {
      peer.receive(frame(1, WHOLE, id, Buffer.concat([head, block([['x-key', 'secret']], pattern)])));
    }
    return seen;
  });
  assert.deepEqual(flags, [0, FieldFlag.NEVER_INDEXED]);
});

test('callers of any habits are understood the same with and without the memory', () => {
  const random = generator();
  const int = (below: number) => Math.floor(random() * below);
  for (let round = 0; round < 20; round++) {
    const contexts = [new Http2Context(), new Http2Context({ rememberBlocks: false })];
    const peers = contexts.map(context => server({ rapidResets: { burst: 1e9, perSecond: 1 } }, context));
    // A caller with few messages; now and then a new one, or one that comes as other octets.
    const habit = random();
    const encoder = new ModelEncoder(() => (random() < habit ? 0.1 : random()));
    const messages: Field[][] = Array.from({ length: 4 }, (_, i) => [
      ...REQUEST.map(([name, value]): Field => [name, value]),
      ['x-kind', `${i}`],
      ['x-long', 'v'.repeat(int(400))],
    ]);
    for (let id = 1; id < 401; id += 2) {
      if (random() < 0.05) messages[int(4)]?.push([`x-${int(3)}`, `${int(5)}`]);
      const fields = messages[int(4)] as Field[];
      const bytes = frame(1, WHOLE, id, encoder.encode(fields));
      for (const peer of peers) {
        peer.receive(bytes);
        assert.deepEqual(peer.heads.at(-1)?.fields, fields);
        peer.connection.reset(0, 8);
      }
    }
  }
});
