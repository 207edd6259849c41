/** Shared fields: one object wherever a field comes, and never another field's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HTTP2_LIMITS } from '../../src/core/limits.ts';
import { HpackDecoder } from '../../src/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/http2/hpack/encoder.ts';
import { HeaderList, Http2Context } from '../../src/http2/http2.ts';
import { Output } from '../../src/http2/output.ts';
import { cases, generator } from '../support/seed.ts';
import { type Field, ModelEncoder } from './hpack-model.ts';

const LIMITS = [4096, 128, 65_536] as const;
/** What repeats goes by index, all else into the table. */
const indexing = (): ModelEncoder => new ModelEncoder(() => 0.1);

function decoded(decoder: HpackDecoder, block: Buffer, list: HeaderList): HeaderList {
  decoder.decode(block, 0, block.length, list);
  return list;
}

test('a field that two connections refer to is one object, also where their tables shift', () => {
  const context = new Http2Context();
  const seen = [1, 2].map(connection => {
    const peer = indexing();
    const decoder = new HpackDecoder(context, ...LIMITS);
    const objects = new Set<unknown>();
    for (let call = 0; call < 100; call++) {
      const fields: Field[] = [
        ['x-tenant', 'acme'],
        ['traceparent', `${connection}-${call}`],
      ];
      const list = decoded(decoder, peer.encode(fields), context.list);
      assert.deepEqual(list.toArray(), fields);
      if (list.field(0).slot >= 0) objects.add(list.field(0));
    }
    return objects;
  });
  assert.equal(seen[0]?.size, 1);
  assert.deepEqual(seen[0], seen[1]);
});

test('fields that push each other out of their place are never taken for each other', () => {
  const context = new Http2Context();
  const random = generator();
  const peer = indexing();
  const ours = new HpackDecoder(context, ...LIMITS);
  const out = new Output(context.slabs, { output() {} });
  const relay = new HpackEncoder(out, true);
  const third = new HpackDecoder(new Http2Context({ rememberBlocks: false }), ...LIMITS);
  const far = new HeaderList(128);
  const values = Array.from({ length: HTTP2_LIMITS.fieldsRemembered * 3 }, (_, i) => `value ${i}`);
  for (let call = 0; call < cases(4_000); call++) {
    // Most of a small moving set, so that they are in the tables, and some of all.
    const any = (): string =>
      values[
        Math.floor(random() < 0.8 ? (call + random() * 20) % values.length : random() * values.length)
      ] as string;
    const fields: Field[] = Array.from({ length: 5 }, (_, i) => [`x-${i % 2}`, any()]);
    const block = peer.encode(fields);
    const list = decoded(ours, block, context.list);
    relay.begin(0);
    relay.list(list);
    relay.end();
    const onward = Buffer.concat(out.take());
    out.written();
    assert.deepEqual(decoded(third, onward, far).toArray(), fields);
  }
});

test('a kept list stays as it was when its table has long gone on', () => {
  const context = new Http2Context();
  const peer = indexing();
  const decoder = new HpackDecoder(context, ...LIMITS);
  const fields: Field[] = [
    [':method', 'POST'],
    ['x-tenant', 'acme'],
    ['x-long', 'v'.repeat(HTTP2_LIMITS.fieldBytesRemembered + 1)],
    ['x-new', 'once'],
  ];
  decoded(decoder, peer.encode(fields), context.list);
  const kept = new HeaderList(8);
  kept.take(decoded(decoder, peer.encode(fields), context.list));
  const copy = kept.copy();
  for (let call = 0; call < 200; call++) {
    decoded(decoder, peer.encode([['x-other', `${call} ${'w'.repeat(100)}`]]), context.list);
  }
  assert.deepEqual(kept.toArray(), fields);
  assert.deepEqual(copy.toArray(), fields);
});

test('without the memory of header blocks no field of a dynamic table is shared', () => {
  const context = new Http2Context({ rememberBlocks: false });
  const peer = indexing();
  const decoder = new HpackDecoder(context, ...LIMITS);
  for (let call = 0; call < 3; call++) {
    const list = decoded(decoder, peer.encode([['x-tenant', 'acme']]), context.list);
    assert.equal(list.field(0).slot, -1);
  }
});
