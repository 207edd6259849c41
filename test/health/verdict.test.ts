/** What the end of a health check says of its server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Status } from '../../src/grpc/status.ts';
import { verdictOfEnd } from '../../src/health/verdict.ts';

const finding = (end: Partial<Parameters<typeof verdictOfEnd>[0]>, named = false): string =>
  verdictOfEnd({ status: Status.OK, message: '', http: false, lost: false, untouched: false, ...end }, named)
    .finding;

test('a server that answers is alive, whatever it makes of the question', () => {
  assert.equal(finding({ status: Status.UNIMPLEMENTED }), 'alive');
  assert.equal(finding({ status: Status.UNKNOWN, http: true }), 'alive');
  assert.equal(finding({ status: Status.UNAVAILABLE, http: true }), 'alive');
  // A file server with `grpc-status: 0` among its trailers, for paths that it does not have too.
  assert.equal(finding({ status: Status.OK }), 'alive');
  assert.equal(finding({ status: Status.PERMISSION_DENIED }), 'alive');
});

test('a server that fails the check is failing, and one that is not reached is dead', () => {
  assert.equal(finding({ status: Status.UNAVAILABLE }), 'failing');
  assert.equal(finding({ status: Status.UNAVAILABLE, lost: true }), 'dead');
  assert.equal(finding({ status: Status.NOT_FOUND }, true), 'failing');
  assert.equal(finding({ status: Status.NOT_FOUND }), 'alive');
});
