/** Noted picks as bytes: golden ones, and what versions before and after this one make of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../src/core/decision.ts';
import { CodecError, Reader } from '../../src/state/bytes.ts';
import { decodeDecision, encodeDecision } from '../../src/state/decision-codec.ts';

const decision: Decision = {
  time: 1000,
  service: 's.S',
  lease: 7,
  serverId: 'a',
  policy: 'p',
  want: '',
  members: 1,
  eligible: 1,
  best: [],
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
};
const TEXT =
  '{"time":1000,"service":"s.S","lease":7,"serverId":"a","policy":"p","want":"","members":1,"eligible":1,"best":[]}';
// Its type, its length, the text, and 16 octets of the trace.
const BEFORE = Buffer.concat([Buffer.of(0x83, TEXT.length), Buffer.from(TEXT)]);
const GOLDEN = Buffer.concat([BEFORE, Buffer.from('4bf92f3577b34da6a3ce929d0e0e4736', 'hex')]);

test('golden bytes, both ways, with a trace and without', () => {
  assert.deepEqual(encodeDecision(decision), GOLDEN);
  assert.deepEqual(decodeDecision(GOLDEN), decision);
  assert.deepEqual(encodeDecision({ ...decision, traceId: '' }), BEFORE);
  assert.deepEqual(decodeDecision(BEFORE), { ...decision, traceId: '' });
});

test('who knows of no trace reads the text and stops; what a newer version adds behind it is left alone', () => {
  const old = new Reader(GOLDEN);
  assert.equal(old.byte(), 0x83);
  assert.equal(old.string(), TEXT);
  assert.deepEqual(decodeDecision(Buffer.concat([GOLDEN, Buffer.of(1, 2, 3)])), decision);
  // Too short for a trace.
  assert.equal(decodeDecision(GOLDEN.subarray(0, GOLDEN.length - 1)).traceId, '');
  assert.throws(() => decodeDecision(GOLDEN.subarray(0, 20)), CodecError);
  assert.throws(() => decodeDecision(Buffer.of(0x82, 0)), CodecError);
});
