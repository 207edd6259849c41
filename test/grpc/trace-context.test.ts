import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTraceparent, parseTraceparent, sampledFlag } from '../../src/grpc/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

test('traceparent is taken apart and put together', () => {
  const text = `00-${TRACE}-${SPAN}-01`;
  assert.deepEqual(parseTraceparent(text), { traceId: TRACE, spanId: SPAN, flags: 1 });
  assert.equal(formatTraceparent(TRACE, SPAN, 1), text);
  assert.equal(formatTraceparent(TRACE, SPAN, 0xff), `00-${TRACE}-${SPAN}-03`);
});

// W3C Trace Context 2.2, and section 4.3 on versions to come.
test('what is not valid is as if it were not there', () => {
  for (const text of [
    '',
    'garbage',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-1`,
    `01-${TRACE}-${SPAN}-01more`,
    `00-${TRACE}-${SPAN}-01 `,
  ]) {
    assert.equal(parseTraceparent(text), undefined, text);
  }
  assert.equal(parseTraceparent(`01-${TRACE}-${SPAN}-01`)?.spanId, SPAN);
  assert.equal(parseTraceparent(`cc-${TRACE}-${SPAN}-00-what.comes`)?.flags, 0);
});

test('the sampled flag is read from the last digit alone', () => {
  const flag = (digits: string): number => {
    const text = Buffer.from(`xx00-${TRACE}-${SPAN}-${digits}`);
    return sampledFlag(text, 2, text.length);
  };
  for (let flags = 0; flags < 256; flags++) {
    assert.equal(flag(flags.toString(16).padStart(2, '0')), flags & 1);
  }
  const short = Buffer.from(`00-${TRACE}`);
  assert.equal(sampledFlag(short, 0, short.length), -1);
});
