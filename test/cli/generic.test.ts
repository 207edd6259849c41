import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JsonTextError, JsonValues } from '../../src/cli/generic/json-values.ts';
import { explainPick } from '../../src/cli/generic/why.ts';
import { fieldViolations } from '../../src/cli/grpc-error.ts';
import { BadRequest } from '../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../src/gen/google/rpc/status.ts';

test('JSON objects one behind the other, however the text is cut', () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue());
  const text = fc.array(fc.tuple(object, fc.constantFrom('', ' ', '\n\t')));
  fc.assert(
    fc.property(text, fc.array(fc.nat({ max: 30 })), (parts, cuts) => {
      const whole = parts.map(([value, space]) => JSON.stringify(value) + space).join('');
      const values = new JsonValues(1_000_000);
      const found: string[] = [];
      let rest = whole;
      for (const cut of cuts) {
        found.push(...values.push(rest.slice(0, cut)));
        rest = rest.slice(cut);
      }
      found.push(...values.push(rest));
      values.end();
      assert.deepEqual(
        found.map(each => JSON.parse(each)),
        parts.map(([value]) => JSON.parse(JSON.stringify(value))),
      );
    }),
  );
});

test('a value is handed out as soon as it is whole', () => {
  const values = new JsonValues(100);
  assert.deepEqual(values.push('{"a": {"b": "}"'), []);
  assert.deepEqual(values.push('}} {'), ['{"a": {"b": "}"}}']);
  assert.deepEqual(values.push('}'), ['{}']);
  values.end();
});

test('text that is no object, not complete, or too long', () => {
  assert.throws(() => new JsonValues(100).push(' 3'), JsonTextError);
  assert.throws(() => new JsonValues(100).push(`{"a": "${'x'.repeat(200)}"}`), /longer than 100/);
  const values = new JsonValues(100);
  values.push('{');
  assert.throws(() => values.end(), /not complete/);
});

test('why a pick went where it went', () => {
  const node = (serverId: string, score: number, newcomer = false) => ({
    serverId,
    score,
    newcomer,
    terms: {},
  });
  const heap = { zone: '', arity: 4, nodes: [node('a', 0.1), node('b', 0.3), node('c', 0.2)] };
  assert.equal(explainPick('a', heap, {}), 'score 100.0 ms, the lowest; next is c with 200.0 ms');
  assert.equal(
    explainPick('a', heap, { excluded: ['c'] }),
    'score 100.0 ms, the lowest; next is b with 300.0 ms',
  );
  assert.equal(
    explainPick('c', heap, { excluded: ['a'] }),
    'score 200.0 ms, the lowest; next is b with 300.0 ms',
  );
  assert.match(
    explainPick('b', heap, {}),
    /score 300\.0 ms; a with 100\.0 ms stood before it when the heap was read/,
  );
  assert.match(explainPick('z', heap, {}), /not in the heap/);
  assert.match(explainPick('z', undefined, {}), /not in the heap/);
  assert.equal(explainPick('a', heap, { hashKey: 'k' }), "its hash key is 'k'");
  // A newcomer goes before others whatever its score.
  const late = { ...heap, nodes: [node('n', 9, true), node('a', 0.1)] };
  assert.equal(
    explainPick('a', late, {}),
    'score 100.0 ms; n with 9.00 s stood before it when the heap was read',
  );
  const joined = { ...heap, nodes: [node('n', -1, true), ...heap.nodes] };
  assert.match(explainPick('n', joined, {}), /a newcomer stands at the root by rule/);
  const tied = { ...heap, nodes: [node('a', 0.1), node('b', 0.1)] };
  assert.equal(explainPick('a', tied, {}), 'score 100.0 ms, picked longer ago than b with 100.0 ms');
  assert.equal(
    explainPick('a', { ...heap, nodes: [node('a', 1)] }, {}),
    'score 1.00 s, the only one in the heap',
  );
});

test('field violations from status details; broken details are none', () => {
  const value = BadRequest.encode({
    fieldViolations: [{ field: 'server.weight', description: 'is \x1b[31m-1' }],
  }).finish();
  const typeUrl = 'type.googleapis.com/google.rpc.BadRequest';
  const details = [
    { typeUrl: 'type.googleapis.com/other', value: Buffer.from('x') },
    { typeUrl, value: Buffer.from(value) },
  ];
  const status = Status.encode({ code: 3, message: '', details }).finish();
  assert.deepEqual(fieldViolations(status), ['server.weight: is \ufffd[31m-1']);
  assert.deepEqual(fieldViolations(undefined), []);
  assert.deepEqual(fieldViolations(Buffer.from([0xff, 0xff, 0xff])), []);
});
