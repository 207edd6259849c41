/** Proposals as bytes: golden ones, read-back, what a newer version writes, and bytes that nobody wrote. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Proposal } from '../../src/core/entries.ts';
import { apply } from '../../src/core/fold.ts';
import { CodecError, Reader, Writer } from '../../src/state/bytes.ts';
import { decodeProposal, encodeProposal, readProposal } from '../../src/state/codec.ts';
import { PlainStore } from '../core/registry-support.ts';
import { seeded } from '../support/seed.ts';
import { proposal } from './bodies.ts';

const claim: Proposal = {
  origin: 'lb-1',
  epoch: 300,
  n: 1,
  time: 1000,
  cause: 'registered itself',
  preconditions: [{ kind: 'address', id: 'a', address: 'a:1' }],
  body: {
    kind: 'claim',
    source: 'stream',
    spec: {
      id: 'a',
      address: 'a:1',
      services: ['s.S'],
      weight: 1.5,
      zone: 'z',
      labels: { k: 'v' },
      maxConcurrency: 8,
      standby: true,
    },
  },
};

const GOLDEN: readonly [string, Proposal][] = [
  [
    [
      '01', // a proposal
      '04 6c622d31', // origin lb-1
      'ac02', // epoch 300
      '01', // n 1
      '0000000000408f40', // time 1000
      '11 7265676973746572656420697473656c66', // registered itself
      '01 02 06 0161 03613a31', // one precondition: address, of a, at a:1
      '01 00 1e', // claim, no flags, 30 octets
      '02', // by stream
      '0161 03613a31 01 03732e53', // a, a:1, one service s.S
      'ff 000000000000f83f', // weight 1.5
      '017a 01 016b 0176 08 01', // zone z, one label, 8 at once, standby
    ].join(''),
    claim,
  ],
  [
    '01 04 6c622d31 01 02 0000000000000000 00 00 0b00 04 0161 0301',
    {
      origin: 'lb-1',
      epoch: 1,
      n: 2,
      time: 0,
      cause: '',
      body: { kind: 'observe', id: 'a', observation: { phase: 'ejected', healthy: true } },
    },
  ],
  [
    '01 00 00 00 0000000000000000 00 00 0600 06 0161 01 ff 0000000000407f40 02'.replace('06 0161', '0d 0161'),
    {
      origin: '',
      epoch: 0,
      n: 0,
      time: 0,
      cause: '',
      body: { kind: 'drain', id: 'a', by: 'operator', timeoutMs: 500, afterwards: 'remove' },
    },
  ],
];

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ''), 'hex');

test('golden bytes: what an earlier version wrote is read, and nothing else is written', () => {
  for (const [hex, golden] of GOLDEN) {
    assert.deepEqual(decodeProposal(bytesOf(hex)), golden);
    assert.equal(encodeProposal(golden).toString('hex'), bytesOf(hex).toString('hex'));
  }
});

test('what was written is read back', () => {
  fc.assert(
    fc.property(proposal, one => {
      const back = decodeProposal(encodeProposal(one));
      assert.deepEqual(back, one);
      assert.deepEqual(encodeProposal(back), encodeProposal(one));
    }),
    seeded(1000),
  );
});

test('several messages in one piece of memory are read in place', () => {
  fc.assert(
    fc.property(fc.array(proposal, { maxLength: 5 }), all => {
      const parts = all.map(encodeProposal);
      const together = Buffer.concat(parts);
      const reader = new Reader();
      let start = 0;
      for (const [i, part] of parts.entries()) {
        assert.deepEqual(readProposal(reader.open(together, start, start + part.length)), all[i]);
        start += part.length;
        assert.equal(reader.offset, start);
      }
    }),
    seeded(100),
  );
});

test('a kind of a newer version is kept with its bit, written again as it was, and skipped or not', () => {
  const head = '01 00 00 00 0000000000000000 00 00';
  for (const [flags, maySkip] of [
    ['01', true],
    ['00', false],
  ] as const) {
    const bytes = bytesOf(`${head} 63 ${flags} 03 abcdef`);
    const read = decodeProposal(bytes);
    assert(read.body.kind === 'unknown');
    assert.equal(read.body.name, 'number 99');
    assert.equal(read.body.maySkip, maySkip);
    assert.deepEqual(encodeProposal(read), bytes);
    const verdict = apply(new PlainStore(), read);
    assert.equal(verdict.understood, maySkip ? 'may-skip' : 'must-know');
  }
});

test('an unknown source or precondition makes the entry one that is not understood', () => {
  const source = encodeProposal(claim);
  const at = source.indexOf(Buffer.from('02016103613a31', 'hex'));
  source[at] = 77;
  const read = decodeProposal(source);
  assert(read.body.kind === 'unknown');
  assert.equal(read.body.name, 'claim with the source number 77');
  assert.deepEqual(encodeProposal(read), source);
  assert.equal(apply(new PlainStore(), read).understood, 'must-know');

  const precondition = bytesOf('01 00 00 00 0000000000000000 00 01 63 01 aa 0400 02 0161');
  const conditional = decodeProposal(precondition);
  assert.deepEqual(encodeProposal(conditional), precondition);
  const verdict = apply(new PlainStore(), conditional);
  assert.equal(verdict.understood, 'must-know');
  assert.match(verdict.why, /the precondition 'number 99'/);
});

test('a content that grew at its end is read as far as it is known', () => {
  const read = decodeProposal(bytesOf('01 00 00 00 0000000000000000 00 00 0400 04 0161 beef'));
  assert.deepEqual(read.body, { kind: 'forget', id: 'a' });
});

test('bytes that nobody wrote are refused, and never read beyond', () => {
  for (const hex of ['', '00', '82', '01', '01 ff ff ff ff ff ff ff ff ff ff', '01 00 00 00']) {
    assert.throws(() => decodeProposal(bytesOf(hex)), CodecError, hex);
  }
  // A list of 2^40 preconditions in four octets must not take memory.
  const huge = bytesOf('01 00 00 00 0000000000000000 00 80 80 80 80 80 40 00 00');
  assert.throws(() => decodeProposal(huge), /items in/);

  fc.assert(
    fc.property(
      proposal,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      fc.nat(),
      (one, hits, cut) => {
        const bytes = encodeProposal(one);
        for (const [at, octet] of hits) bytes[at % bytes.length] = octet;
        const part = bytes.subarray(0, cut % (bytes.length + 1));
        for (const input of [bytes, part]) {
          try {
            decodeProposal(input);
          } catch (error) {
            assert(error instanceof CodecError, String(error));
          }
        }
      },
    ),
    seeded(2000),
  );
});

test('what has no place in the format is refused when it is written', () => {
  for (const epoch of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => encodeProposal({ ...claim, epoch }), RangeError);
  }
  const unknown = { kind: 'unknown', name: 'later', maySkip: true, raw: null } as const;
  assert.throws(() => encodeProposal({ ...claim, body: unknown }), /only as it was read/);
});

test('counts, numbers and strings at their edges', () => {
  const out = new Writer(1);
  const counts = [0, 1, 127, 128, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER];
  for (const count of counts) out.varint(count);
  const numbers = [0, 254, 255, 256, -1, -0, 0.5, Number.NaN, Number.POSITIVE_INFINITY];
  for (const number of numbers) out.number(number);
  const texts = ['', 'a'.repeat(64), 'a'.repeat(65), 'ä'.repeat(20), '\u0000', '😀'];
  for (const text of texts) out.string(text);
  const reader = new Reader(out.copy());
  for (const count of counts) assert.equal(reader.varint(), count);
  for (const number of numbers) assert(Object.is(reader.number(), number));
  for (const text of texts) assert.equal(reader.string(), text);
  assert.equal(reader.left, 0);
  assert.throws(() => new Reader(Buffer.from('ffffffffffffffff7f', 'hex')).varint(), CodecError);
});
