import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HTTP2_LIMITS } from '../../src/core/limits.ts';
import { Http2Context } from '../../src/http2/context.ts';
import { ConnectionError } from '../../src/http2/errors.ts';
import type { HeaderList } from '../../src/http2/header-list.ts';
import { HpackDecoder } from '../../src/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/http2/hpack/encoder.ts';
import { FieldFlag } from '../../src/http2/hpack/fields.ts';
import { decodeHuffman, encodeHuffman, flawed, huffmanBytes } from '../../src/http2/hpack/huffman.ts';
import { writeInteger } from '../../src/http2/hpack/strings.ts';
import { Output } from '../../src/http2/output.ts';
import { cases, generator, SEED, seeded } from '../support/seed.ts';
import { type Field, ModelEncoder } from './hpack-model.ts';

const context = new Http2Context();
const decoder = (tableBytes = 4096, fields = 128, bytes = 65_536) =>
  new HpackDecoder(context, tableBytes, fields, bytes);

function decode(by: HpackDecoder, bytes: Buffer): HeaderList {
  by.decode(bytes, 0, bytes.length, context.list);
  return context.list;
}

function encoder(remember = true): {
  encoder: HpackEncoder;
  block(write: (e: HpackEncoder) => void): Buffer;
} {
  const out = new Output(context.slabs, { output() {} });
  const made = new HpackEncoder(out, remember);
  return {
    encoder: made,
    block(write) {
      made.begin(9);
      write(made);
      const bytes = Buffer.from(out.buffer.subarray(made.end() + 9, out.position));
      out.take();
      out.written();
      return bytes;
    },
  };
}

test('integers: RFC 7541 C.1', () => {
  const written = (pattern: number, max: number, value: number) => {
    const out = Buffer.alloc(8);
    return out.subarray(0, writeInteger(out, 0, pattern, max, value)).toString('hex');
  };
  assert.equal(written(0, 31, 10), '0a');
  assert.equal(written(0, 31, 1337), '1f9a0a');
  assert.equal(written(0, 255, 42), '2a');
});

/** RFC 7541 appendix C, from C.2 on: blocks, what they decode to, and the table afterwards, newest entry first. */
interface Vector {
  name: string;
  tableBytes: number;
  blocks: { hex: string; fields: Field[]; table: Field[]; size: number }[];
}

const REQUEST_1: Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
];
const REQUEST_2: Field[] = [...REQUEST_1, ['cache-control', 'no-cache']];
const REQUEST_3: Field[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/index.html'],
  [':authority', 'www.example.com'],
  ['custom-key', 'custom-value'],
];
const AUTHORITY: Field = [':authority', 'www.example.com'];
const requests = (name: string, hex: [string, string, string]): Vector => ({
  name,
  tableBytes: 4096,
  blocks: [
    { hex: hex[0], fields: REQUEST_1, table: [AUTHORITY], size: 57 },
    { hex: hex[1], fields: REQUEST_2, table: [['cache-control', 'no-cache'], AUTHORITY], size: 110 },
    {
      hex: hex[2],
      fields: REQUEST_3,
      table: [['custom-key', 'custom-value'], ['cache-control', 'no-cache'], AUTHORITY],
      size: 164,
    },
  ],
});

const PRIVATE: Field = ['cache-control', 'private'];
const LOCATION: Field = ['location', 'https://www.example.com'];
const DATE: Field = ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'];
const LATER: Field = ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'];
const GZIP: Field = ['content-encoding', 'gzip'];
const COOKIE: Field = ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'];
const responses = (name: string, hex: [string, string, string]): Vector => ({
  name,
  tableBytes: 256,
  blocks: [
    {
      hex: hex[0],
      fields: [[':status', '302'], PRIVATE, DATE, LOCATION],
      table: [LOCATION, DATE, PRIVATE, [':status', '302']],
      size: 222,
    },
    {
      hex: hex[1],
      fields: [[':status', '307'], PRIVATE, DATE, LOCATION],
      table: [[':status', '307'], LOCATION, DATE, PRIVATE],
      size: 222,
    },
    {
      hex: hex[2],
      fields: [[':status', '200'], PRIVATE, LATER, LOCATION, GZIP, COOKIE],
      table: [COOKIE, GZIP, LATER],
      size: 215,
    },
  ],
});

const VECTORS: Vector[] = [
  {
    name: 'C.2.1 literal with indexing',
    tableBytes: 4096,
    blocks: [
      {
        hex: '400a637573746f6d2d6b65790d637573746f6d2d686561646572',
        fields: [['custom-key', 'custom-header']],
        table: [['custom-key', 'custom-header']],
        size: 55,
      },
    ],
  },
  {
    name: 'C.2.2 literal without indexing',
    tableBytes: 4096,
    blocks: [
      { hex: '040c2f73616d706c652f70617468', fields: [[':path', '/sample/path']], table: [], size: 0 },
    ],
  },
  {
    name: 'C.2.3 literal never indexed',
    tableBytes: 4096,
    blocks: [
      { hex: '100870617373776f726406736563726574', fields: [['password', 'secret']], table: [], size: 0 },
    ],
  },
  {
    name: 'C.2.4 indexed',
    tableBytes: 4096,
    blocks: [{ hex: '82', fields: [[':method', 'GET']], table: [], size: 0 }],
  },
  requests('C.3 requests', [
    '828684410f7777772e6578616d706c652e636f6d',
    '828684be58086e6f2d6361636865',
    '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
  ]),
  requests('C.4 requests, Huffman', [
    '828684418cf1e3c2e5f23a6ba0ab90f4ff',
    '828684be5886a8eb10649cbf',
    '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
  ]),
  responses('C.5 responses, evicting', [
    '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d',
    '4803333037c1c0bf',
    '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
  ]),
  responses('C.6 responses, Huffman, evicting', [
    '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
    '4883640effc1c0bf',
    '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
  ]),
];

for (const vector of VECTORS) {
  test(`decoding: RFC 7541 ${vector.name}`, () => {
    const by = decoder(vector.tableBytes);
    for (const { hex, fields, table, size } of vector.blocks) {
      const list = decode(by, Buffer.from(hex, 'hex'));
      assert.deepEqual(list.toArray(), fields);
      assert.equal(list.fault, undefined);
      const entries = Array.from({ length: by.table.count }, (_, i) => {
        const place = by.table.place(i);
        const value = by.table.arena.toString('latin1', by.table.start(place), by.table.end(place));
        return [by.table.name(place).text, value];
      });
      assert.deepEqual(entries, table);
      assert.equal(by.table.bytes, size);
    }
  });
}

test('never indexed stays never indexed', () => {
  const list = decode(decoder(), Buffer.from('100870617373776f726406736563726574', 'hex'));
  assert.equal(list.field(0).flags, FieldFlag.NEVER_INDEXED);
  const { block } = encoder();
  for (let i = 0; i < 3; i++) {
    assert.equal(block(e => e.list(list)).toString('hex'), '100870617373776f726406736563726574');
  }
  // By a name that has an index too: authorization is 23, above a prefix of 4 bits.
  const secret = decode(decoder(), Buffer.from('1f080461626364', 'hex'));
  assert.deepEqual(secret.toArray(), [['authorization', 'abcd']]);
  assert.equal(block(e => e.list(secret)).toString('hex'), '1f080461626364');
});

test('Huffman: every octet, and any octets, come back', () => {
  const round = (bytes: Uint8Array) => {
    const coded = Buffer.alloc(bytes.length * 4 + 1);
    const end = encodeHuffman(bytes, 0, bytes.length, coded, 0);
    assert.equal(end, huffmanBytes(bytes, 0, bytes.length));
    const plain = Buffer.alloc(bytes.length * 2 + 2);
    const decoded = decodeHuffman(coded, 0, end, plain, 1);
    const bad = bytes.some(octet => octet === 0 || octet === 10 || octet === 13);
    assert.equal(decoded < 0, bad);
    const stop = bad ? flawed(decoded) : decoded;
    assert.deepEqual([...plain.subarray(1, stop)], [...bytes]);
  };
  for (let octet = 0; octet < 256; octet++) round(Uint8Array.of(octet, 0x61, octet, octet));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), round), seeded(500));
});

test('Huffman: padding and EOS are checked', () => {
  const invalid = (hex: string) =>
    decodeHuffman(Buffer.from(hex, 'hex'), 0, hex.length / 2, Buffer.alloc(64), 0);
  assert.equal(invalid('1f'), 1); // 'a' and three ones
  assert.equal(invalid('1e'), -1); // padding of 110
  assert.equal(invalid('18'), -1); // padding of zeros
  assert.equal(invalid('1fff'), -1); // eleven bits of padding
  assert.equal(invalid('ff'), -1); // nothing but padding, eight bits
  assert.equal(invalid('ffffffff'), -1); // EOS
  assert.equal(invalid('3fffffff'), -1);
  assert.equal(invalid('ffffff'), -1);
  assert.equal(invalid(''), 0);
});

const name = fc.oneof(
  fc.constantFrom(
    ':path',
    ':method',
    ':status',
    'cookie',
    'te',
    'x-a',
    'x-b',
    'traceparent',
    'content-length',
  ),
  fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
);
const value = fc.oneof(
  fc.constantFrom('', '/', 'GET', 'trailers', '0'),
  fc.stringMatching(/^[!-~]{0,60}$/),
  fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes).toString('latin1')),
);
const field = fc.tuple(name, value) as fc.Arbitrary<Field>;
const lists = fc.array(fc.array(field, { maxLength: 12 }), { minLength: 1, maxLength: 25 });

test('whatever a peer encodes is decoded, and goes on to a third as the same fields', () => {
  fc.assert(
    fc.property(
      lists,
      fc.boolean(),
      fc.nat(),
      fc.array(fc.constantFrom(0, 100, 700, 4096)),
      (all, remember, salt, sizes) => {
        const peer = new ModelEncoder(generator(SEED ^ salt));
        const ours = decoder();
        const relay = encoder(remember);
        const third = decoder();
        for (const [i, fields] of all.entries()) {
          const size = sizes[i];
          if (size !== undefined) relay.encoder.tableSize(size);
          const update = size === undefined ? Buffer.alloc(0) : peer.resize(size);
          // Twice each, so that second sights happen.
          for (const head of [update, Buffer.alloc(0)]) {
            let list = decode(ours, Buffer.concat([head, peer.encode(fields)]));
            assert.deepEqual(list.toArray(), fields);
            if (remember && i % 2 === 0 && fields.length > 0) list = context.lists.of(list);
            const onward = relay.block(e => e.list(list));
            assert.deepEqual(decode(third, onward).toArray(), fields);
            assert.equal(third.table.bytes, relay.encoder.table.bytes);
          }
        }
      },
    ),
    seeded(150),
  );
});

test('what repeats becomes one octet a field, and a remembered list is encoded once', () => {
  const { block } = encoder();
  const list = context.listOf([
    [':status', '200'],
    ['content-type', 'application/grpc'],
    ['x-served-by', 'backend-1'],
  ]);
  const sizes = Array.from({ length: 5 }, () => block(e => e.list(list)).length);
  assert.equal(sizes.at(-1), 3);
  const third = decoder();
  const again = encoder();
  for (let i = 0; i < 5; i++)
    assert.deepEqual(
      decode(
        third,
        again.block(e => e.list(list)),
      ).toArray(),
      list.toArray(),
    );
});

test('values that differ each time do not wash out what repeats', () => {
  const peer = new ModelEncoder(() => 0.5);
  const ours = decoder();
  const relay = encoder();
  const third = decoder();
  let last = 0;
  for (let call = 0; call < 200; call++) {
    const fields: Field[] = [
      [':path', '/echo.v1.EchoService/Echo'],
      ['user-agent', 'grpc-go/1.85.0'],
      ['traceparent', `00-${String(call).padStart(32, '0')}-00f067aa0ba902b7-01`],
    ];
    const onward = relay.block(e => e.list(decode(ours, peer.encode(fields))));
    assert.deepEqual(decode(third, onward).toArray(), fields);
    last = onward.length;
  }
  assert.ok(
    last <= 2 + 1 + 1 + 56,
    `${last} octets: path and user-agent by index, the name of traceparent too`,
  );
  assert.ok(relay.encoder.table.inserted < 10, `${relay.encoder.table.inserted} insertions`);
});

test('size updates: the smallest since the last block first, then the last (RFC 7541 4.2)', () => {
  const { encoder: made, block } = encoder();
  made.tableSize(0);
  made.tableSize(1024);
  assert.equal(block(() => {}).toString('hex'), '203fe107');
  made.tableSize(1 << 20);
  assert.equal(made.table.maxBytes, HTTP2_LIMITS.encoderTableBytes);
  assert.equal(block(() => {}).toString('hex'), '3fe11f');
  assert.equal(block(() => {}).toString('hex'), '');
});

test('what is no HPACK is a ConnectionError', () => {
  const bad: [string, string][] = [
    ['80', 'index 0'],
    ['c8', 'an index beyond the tables'],
    ['ffffffffff', 'an integer without end'],
    ['ffffffffff0f', 'an integer of more than 28 bits'],
    ['3fe21f', 'a table size of 4097'],
    ['8220', 'a size update after a field'],
    ['00', 'no name'],
    ['000161', 'no value'],
    ['00016105', 'a value cut short'],
    ['0001618118', 'bad Huffman'],
    ['7f', 'an integer cut short'],
  ];
  for (const [hex, what] of bad) {
    assert.throws(
      () => decode(decoder(), Buffer.from(hex, 'hex')),
      { name: 'ConnectionError', fault: 'HPACK' },
      what,
    );
  }
});

test('a list above the limits stops growing, and the table still follows', () => {
  const by = decoder(4096, 4, 65_536);
  const peer = new ModelEncoder(() => 0.7); // literals with indexing, names by index where there are some
  const fields: Field[] = Array.from({ length: 10 }, (_, i) => [`x-${i}`, `value ${i}`]);
  const list = decode(by, peer.encode(fields));
  assert.equal(list.tooLarge, true);
  assert.equal(list.count, 4);
  assert.equal(
    list.bytes,
    fields.reduce((sum, [n, v]) => sum + n.length + v.length + 32, 0),
  );
  assert.equal(by.table.count, 10);
  assert.deepEqual(decode(by, Buffer.from('be', 'hex')).toArray(), [['x-9', 'value 9']]);

  // Cookie crumbs count one by one.
  const crumbs = decode(
    decoder(4096, 128, 65_536),
    peer.encode(Array.from({ length: 129 }, () => ['cookie', 'a=b'])),
  );
  assert.equal(crumbs.tooLarge, true);
});

test('a bomb of references to a large entry takes no memory and little time', () => {
  const by = decoder();
  const large: Field = ['x-large', 'v'.repeat(4000)];
  decode(by, new ModelEncoder(() => 0.7).encode([large]));
  const bomb = Buffer.alloc(100_000, 0xbe);
  const list = decode(by, bomb);
  assert.equal(list.tooLarge, true);
  assert.ok(list.count * 4000 <= 65_536);
  assert.equal(list.bytes, 100_000 * (4000 + 7 + 32));
});

test('values handed out stay as they are while the same block pushes them out of the table', () => {
  const by = decoder(256);
  const peer = new ModelEncoder(() => 0.7, 256);
  const first: Field = ['x-old', 'the old value, to be read after it was evicted'];
  decode(by, peer.encode([first]));
  // The entry is referred to, then evicted by what follows in the same block.
  const many: Field[] = Array.from({ length: 60 }, (_, i) => ['x-new', `${i}`.padStart(100, '.')]);
  const list = decode(by, Buffer.concat([Buffer.from([0xbe]), peer.encode(many)]));
  assert.deepEqual(list.toArray(), [first, ...many]);
});

test('mutated blocks: only ConnectionError, and never more than the limits', () => {
  const random = generator();
  const peer = new ModelEncoder(random);
  const ours = decoder(4096, 32, 2048);
  let by = ours;
  for (let i = 0; i < cases(3000); i++) {
    const fields: Field[] = Array.from({ length: 8 }, () => [
      `x-${Math.floor(random() * 9)}`,
      'v'.repeat(random() * 40),
    ]);
    const bytes = peer.encode(fields);
    for (let hits = random() * 4; hits > 0; hits--)
      bytes[Math.floor(random() * bytes.length)] = random() * 256;
    try {
      const list = decode(by, bytes.subarray(0, Math.ceil(random() * bytes.length)));
      assert.ok(list.count <= 32);
      let size = 0;
      for (const [n, v] of list.toArray()) size += n.length + v.length + 32;
      assert.ok(size <= 2048);
      assert.ok(by.table.bytes <= 4096 && by.table.arena.length <= 32_768);
    } catch (error) {
      assert.ok(error instanceof ConnectionError, String(error));
      by = decoder(4096, 32, 2048);
    }
  }
});
