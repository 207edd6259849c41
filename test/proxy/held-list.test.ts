import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROXY_LIMITS } from '../../src/core/limits.ts';
import { HpackDecoder } from '../../src/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/http2/hpack/encoder.ts';
import { type HeaderList, Http2Context, type KeptList, NameKind } from '../../src/http2/http2.ts';
import { Output, SlabPool } from '../../src/http2/output.ts';
import { HeldLists } from '../../src/proxy/held-list.ts';
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

for (const rememberBlocks of [true, false]) {
  const how = rememberBlocks ? '' : ', without the memory of header blocks';
  test(`a held list stays what it was, however its callers came by its fields${how}`, () => {
    const random = generator();
    const context = new Http2Context({ rememberBlocks });
    const lists = new HeldLists();
    const decode = decoding(context);
    const model = new ModelEncoder(random);
    const held: { kept: KeptList; bytes: number; fields: Field[]; wire: Buffer }[] = [];
    for (let i = 0; i < 400; i++) {
      const fields: Field[] = [...HEAD];
      for (let j = Math.floor(random() * 30); j > 0; j--) {
        // Values of above 126 octets have lengths of several; those of above 256 are never shared.
        const length = random() < 0.1 ? random() * 400 : random() * 90;
        fields.push([`x-${Math.floor(random() * 8)}`, 'v'.repeat(length) + Math.floor(random() * 4)]);
      }
      const list = decode(model.encode(fields));
      held.push({ kept: lists.keep(list), bytes: list.bytes, fields, wire: encoded(list) });
      if (held.length < 20) continue;
      const [one] = held.splice(Math.floor(random() * held.length), 1);
      assert.ok(one !== undefined);
      const again = lists.of(one.kept);
      assert.deepEqual(again.toArray(), one.fields);
      assert.equal(again.bytes, one.bytes);
      assert.ok(encoded(again).equals(one.wire));
      assert.equal(again.value(again.find(NameKind.CONTENT_TYPE)), 'application/grpc');
      lists.give(one.kept);
    }
  });
}

test('what heads are held in is used again, unless they are long or large', () => {
  const context = new Http2Context();
  const lists = new HeldLists();
  const decode = decoding(context);
  const plain = new ModelEncoder(() => 0.8);
  const first = lists.keep(decode(plain.encode(HEAD)));
  lists.give(first);
  assert.equal(lists.keep(decode(plain.encode(HEAD))), first);

  const many = Array.from({ length: PROXY_LIMITS.heldFields }, (_, i): Field => [`x-${i}`, 'v']);
  const long = lists.keep(decode(plain.encode([...HEAD, ...many])));
  assert.equal(lists.of(long).count, HEAD.length + many.length);
  lists.give(long);
  assert.notEqual(lists.keep(decode(plain.encode(HEAD))), long);

  const large = lists.keep(
    decode(plain.encode([...HEAD, ['x-large', 'v'.repeat(PROXY_LIMITS.heldListBytes)]])),
  );
  lists.give(large);
  assert.notEqual(lists.keep(decode(plain.encode(HEAD))), large);

  const remembered = context.listOf([[':status', '200']]);
  assert.equal(remembered.kept(), remembered);
});
