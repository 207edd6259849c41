import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outcome } from '../../src/core/core.ts';
import {
  outcomeOf,
  parseStatus,
  STATUS_NAMES,
  Status,
  statusName,
  statusOfHttp,
  statusOfReset,
} from '../../src/grpc/status.ts';

test('names and codes are those of gRPC', () => {
  assert.equal(STATUS_NAMES.length, 17);
  for (const [name, code] of Object.entries(Status)) {
    assert.equal(statusName(code), name);
  }
  assert.equal(statusName(42), 'CODE(42)');
});

test('grpc-status is read, and what is not a code is UNKNOWN', () => {
  for (let code = 0; code <= 16; code++) {
    const bytes = Buffer.from(`xx${code}y`);
    assert.equal(parseStatus(bytes, 2, bytes.length - 1), code);
  }
  for (const text of ['', '17', '-1', '1.', 'OK', '014', '99', 'a', '1 ']) {
    assert.equal(parseStatus(Buffer.from(text), 0, text.length), Status.UNKNOWN, text);
  }
});

test('an outcome says whether the backend failed, not whether the caller did', () => {
  const failures = [
    Status.UNKNOWN,
    Status.DEADLINE_EXCEEDED,
    Status.RESOURCE_EXHAUSTED,
    Status.UNIMPLEMENTED,
    Status.INTERNAL,
    Status.UNAVAILABLE,
    Status.DATA_LOSS,
  ] as number[];
  for (let code = 0; code <= 16; code++) {
    const expected = failures.includes(code)
      ? Outcome.FAILURE
      : code === Status.CANCELLED
        ? Outcome.NEUTRAL
        : Outcome.SUCCESS;
    assert.equal(outcomeOf(code), expected, statusName(code));
  }
  assert.equal(outcomeOf(17), Outcome.FAILURE);
  assert.equal(outcomeOf(-1), Outcome.FAILURE);
});

test('HTTP statuses and reset codes as in the mapping tables', () => {
  const http: [number, Status][] = [
    [400, Status.INTERNAL],
    [401, Status.UNAUTHENTICATED],
    [403, Status.PERMISSION_DENIED],
    [404, Status.UNIMPLEMENTED],
    [429, Status.UNAVAILABLE],
    [431, Status.INTERNAL],
    [502, Status.UNAVAILABLE],
    [503, Status.UNAVAILABLE],
    [504, Status.UNAVAILABLE],
    [200, Status.UNKNOWN],
    [500, Status.UNKNOWN],
    [302, Status.UNKNOWN],
  ];
  for (const [code, status] of http) assert.equal(statusOfHttp(code), status, String(code));

  const resets = [13, 13, 13, 13, 13, 13, 13, 14, 1, 13, 13, 8, 7];
  for (const [code, status] of resets.entries()) assert.equal(statusOfReset(code), status, String(code));
  assert.equal(statusOfReset(0xd), Status.UNKNOWN); // HTTP_1_1_REQUIRED
  assert.equal(statusOfReset(1234), Status.UNKNOWN);
});
