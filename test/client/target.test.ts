/** What of a target and its options is refused where the channel is made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { registerHeapmesh } from 'heapmesh/client';
import { Stack } from './support.ts';

registerHeapmesh(grpc);

const IDLE_TARGET = 'heapmesh://127.0.0.1:1/x.Y';

test('refuses targets and options that are no good where the channel is made', () => {
  const stack = new Stack();
  for (const [target, why] of [
    ['heapmesh:echo.v1.EchoService', /names no balancer/],
    ['heapmesh://nowhere/echo.v1.EchoService', /names 'nowhere' for a balancer; write host:port/],
    ['heapmesh://h:70000/echo.v1.EchoService', /'h:70000' for a balancer/],
    ['heapmesh://h:1/not a service', /has 'not a service' for a service/],
    ['heapmesh://h:1/x.Y?zoom=1', /has 'zoom'; known are zone, max_servers/],
  ] as const) {
    assert.throws(() => stack.client(target), { name: 'ClientError', message: why }, target);
  }
  for (const [option, value, why] of [
    ['heapmesh.zone', 7, /heapmesh.zone is 7; give a string/],
    ['heapmesh.max_servers', -1, /heapmesh.max_servers is -1; give a whole number/],
    ['heapmesh.balancer_credentials', {}, /must be ChannelCredentials/],
  ] as const) {
    assert.throws(() => stack.client(IDLE_TARGET, { [option]: value }), {
      name: 'ClientError',
      message: why,
    });
  }
});
