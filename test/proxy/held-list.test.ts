import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROXY_LIMITS } from '../../src/core/limits.ts';
import { HpackDecoder } from '../../src/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/http2/hpack/encoder.ts';
import { type HeaderList, Http2Context, NameKind } from '../../src/http2/http2.ts';
import { Output, SlabPool } from '../../src/http2/output.ts';
import { HeldLists, keepList } from '../../src/proxy/held-list.ts';
import { type Field, ModelEncoder } from '../http2/hpack-model.ts';
import { generator } from '../support/seed.ts';

const HEAD: Field[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/echo.v1.EchoService/Echo'],
  ['content-type', 'application/grpc'],
];

/** Decodes blocks one after the other into one and the same list. */
function decoding(context: Http2Context): (block: Buffer) => HeaderList {
  const decoder = new HpackDecoder(context, 4096, 128, 65_536);
  return block => {
    decoder.decode(block, 0, block.length, context.list);
    return context.list;
  };
}

/** What a list goes on as. */
function encoded(list: HeaderList): Buffer {
  const out = new Output(new SlabPool(), { output() {} });
  const encoder = new HpackEncoder(out, true);
  encoder.begin(0);
  encoder.list(list);
  return Buffer.concat(out.take());
}

test('a held list stays what it was, however its callers came by its fields', () => {
  const random = generator();
  const context = new Http2Context();
  const lists = new HeldLists();
  const decode = decoding(context);
  const model = new ModelEncoder(random);
  const held: { list: HeaderList; fields: Field[]; wire: Buffer }[] = [];
  for (let i = 0; i < 400; i++) {
    const fields: Field[] = [...HEAD];
    for (let j = Math.floor(random() * 30); j > 0; j--) {
      fields.push([`x-${Math.floor(random() * 8)}`, 'v'.repeat(random() * 90) + Math.floor(random() * 4)]);
    }
    const list = decode(model.encode(fields));
    const wire = encoded(list);
    const kept = lists.keep(list);
    assert.notEqual(kept, list);
    assert.equal(kept.bytes, list.bytes);
    held.push({ list: kept, fields, wire });
    if (held.length < 20) continue;
    const [one] = held.splice(Math.floor(random() * held.length), 1);
    assert.ok(one !== undefined);
    assert.deepEqual(one.list.toArray(), one.fields);
    assert.ok(encoded(one.list).equals(one.wire));
    const at = one.list.find(NameKind.CONTENT_TYPE);
    assert.equal(one.list.value(at), 'application/grpc');
    lists.give(one.list);
  }
});

test('lists are used again, unless they are remembered, long or large', () => {
  const context = new Http2Context();
  const lists = new HeldLists();
  const decode = decoding(context);
  const plain = new ModelEncoder(() => 0.8);
  const first = lists.keep(decode(plain.encode(HEAD)));
  lists.give(first);
  assert.equal(lists.keep(decode(plain.encode(HEAD))), first);

  const remembered = context.listOf([[':status', '200']]);
  assert.equal(lists.keep(remembered), remembered);
  assert.equal(keepList(remembered), remembered);
  lists.give(remembered);
  assert.notEqual(lists.keep(decode(plain.encode(HEAD))), remembered);

  const many = Array.from({ length: PROXY_LIMITS.heldFields }, (_, i): Field => [`x-${i}`, 'v']);
  const long = lists.keep(decode(plain.encode([...HEAD, ...many])));
  assert.equal(long.count, HEAD.length + many.length);
  lists.give(long);
  assert.notEqual(lists.keep(decode(plain.encode(HEAD))), long);

  const large = lists.keep(
    decode(plain.encode([...HEAD, ['x-large', 'v'.repeat(PROXY_LIMITS.heldListBytes)]])),
  );
  lists.give(large);
  assert.notEqual(lists.keep(decode(plain.encode(HEAD))), large);
});
