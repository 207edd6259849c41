/**
 * Real sessions, damaged: cut differently, octets changed, frames dropped, doubled and swapped. Whatever comes of
 * it, `receive` does not throw, a connection ends at most once, and what it holds stays within its limits.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Http2Context } from '../../src/http2/http2.ts';
import { cases, generator, SEED } from '../support/seed.ts';
import { type Field, ModelEncoder } from './hpack-model.ts';
import {
  Endpoint,
  frame,
  HELLO,
  OK,
  PREFACE,
  REQUEST,
  SETTINGS,
  SETTINGS_ACK,
  TRAILERS,
  word,
} from './support.ts';

const CASES = cases(1_500);

/** Frames of a session that makes sense. */
function session(random: () => number, toServer: boolean): Buffer[] {
  const int = (below: number) => Math.floor(random() * below);
  const encoder = new ModelEncoder(random);
  const out: Buffer[] = [];
  const fields = (base: readonly (readonly [string, string])[]): Field[] => [
    ...base.map(([name, value]): Field => [name, value]),
    ...Array.from({ length: int(4) }, (): Field => [`x-${int(5)}`, 'v'.repeat(int(50))]),
  ];
  const head = (id: number, list: Field[], end: boolean) => {
    const bytes = encoder.encode(list);
    const cut = random() < 0.2 ? int(bytes.length) : bytes.length;
    out.push(frame(1, (cut === bytes.length ? 4 : 0) | (end ? 1 : 0), id, bytes.subarray(0, cut)));
    if (cut < bytes.length) out.push(frame(9, 4, id, bytes.subarray(cut)));
  };
  for (let id = 1; id < 13; id += 2) {
    if (toServer) head(id, fields(REQUEST), random() < 0.2);
    else head(id, fields(OK), random() < 0.2);
    for (let parts = int(4); parts > 0; parts--) {
      const padding = random() < 0.3;
      const body = Buffer.alloc(int(300), id);
      out.push(
        frame(
          0,
          padding ? 8 : 0,
          id,
          padding ? Buffer.concat([Buffer.from([5]), body, Buffer.alloc(5)]) : body,
        ),
      );
    }
    const pick = random();
    if (pick < 0.2) out.push(frame(3, 0, id, word(8)));
    else if (pick < 0.5) head(id, fields(TRAILERS), true);
    if (random() < 0.3) out.push(frame(8, 0, random() < 0.5 ? 0 : id, word(1 + int(1000))));
    if (random() < 0.1) out.push(frame(6, int(2), 0, Buffer.alloc(8, id)));
    if (random() < 0.1) out.push(frame(4, 0, 0, Buffer.from(`000${1 + int(6)}0000${int(10)}000`, 'hex')));
    if (random() < 0.1) out.push(frame(2, 0, id, Buffer.from('0000000510', 'hex')));
    if (random() < 0.05) out.push(frame(7, 0, 0, Buffer.concat([word(int(12)), word(0)])));
  }
  return out;
}

function damage(random: () => number, frames: Buffer[]): Buffer {
  const int = (below: number) => Math.floor(random() * below);
  const list = [...frames];
  for (let hits = int(4); hits > 0; hits--) {
    const at = int(list.length);
    const pick = random();
    if (pick < 0.25) list.splice(at, 1);
    else if (pick < 0.5) list.splice(int(list.length), 0, list[at] ?? Buffer.alloc(0));
    else if (pick < 0.6) list.splice(at, 0, Buffer.from(Array.from({ length: int(30) }, () => int(256))));
    else {
      const bytes = Buffer.from(list[at] ?? Buffer.alloc(1));
      bytes[int(Math.min(bytes.length, pick < 0.8 ? 9 : bytes.length))] = int(256);
      list[at] = bytes;
    }
  }
  return Buffer.concat(list);
}

function check(peer: Endpoint): void {
  const { connection } = peer;
  assert.ok(connection.openStreams <= 110);
  assert.ok(connection.heldBytes >= 0 && connection.heldBytes <= connection.openStreams * 65_536);
  assert.ok(connection.outputBytes <= 1024 ** 2 + 70_000);
  if (connection.ended) assert.equal(connection.openStreams, 0);
}

/** What an endpoint makes of these octets, cut like this: everything that it heard and said. */
function outcome(
  toServer: boolean,
  bytes: Buffer,
  context: Http2Context,
  cut: () => number,
  seed: number,
): string {
  const peer = new Endpoint(toServer ? 'server' : 'client', context);
  const { connection } = peer;
  const random = generator(seed);
  let failures = 0;
  const failed = peer.failed.bind(peer);
  peer.failed = error => {
    failures++;
    assert.notEqual(error.fault, 'ENGINE', String(error.cause));
    failed(error);
  };
  const answer = context.listOf(OK);
  // Acts within events too, by a draw for each so that chunking makes no difference.
  peer.onHeaders = (slot, _, endStream) => {
    const pick = random();
    if (pick < 0.1) connection.reset(slot, 8);
    else if (pick < 0.5 && connection.isSendable(slot)) connection.sendList(slot, answer, endStream);
  };
  peer.receive(toServer ? HELLO : SETTINGS);
  peer.receive(SETTINGS_ACK);
  if (!toServer) {
    for (let i = 0; i < 6; i++) connection.sendList(connection.open(), context.listOf(REQUEST), i % 2 === 0);
  }
  for (let at = 0; at < bytes.length; ) {
    const chunk = Buffer.from(bytes.subarray(at, at + cut()));
    at += chunk.length;
    peer.receive(chunk);
    chunk.fill(0xee);
    check(peer);
  }
  assert.ok(failures <= 1);
  connection.lost();
  check(peer);
  assert.equal(new Set(peer.closedIds.filter(id => id > 0)).size, peer.closedIds.filter(id => id > 0).length);
  const bodies = peer.heads.map(each => peer.body(each.id).toString('latin1'));
  return JSON.stringify([
    peer.heads,
    bodies,
    peer.ended,
    peer.resets,
    peer.closedIds,
    peer.error?.message,
    peer.goaways,
  ]);
}

test('damaged sessions: errors of the known types only, within limits, whatever the chunks and the memory of blocks', () => {
  const random = generator();
  const remembering = new Http2Context();
  const forgetting = new Http2Context({ rememberBlocks: false });
  let failed = 0;
  for (let i = 0; i < CASES; i++) {
    const toServer = random() < 0.5;
    const bytes = damage(random, session(random, toServer));
    const seed = SEED + i;
    try {
      const whole = outcome(toServer, bytes, remembering, () => 1 << 20, seed);
      assert.equal(
        outcome(toServer, bytes, remembering, () => 1 + Math.floor(random() * 40), seed),
        whole,
      );
      assert.equal(
        outcome(toServer, bytes, forgetting, () => 1 + Math.floor(random() * 400), seed),
        whole,
      );
      if (whole.includes('octets') || whole.includes(': ')) failed++;
    } catch (error) {
      const message = `case ${i} of seed ${SEED}, ${toServer ? 'to a server' : 'to a client'}: ${bytes.toString('hex')}`;
      throw new Error(message, { cause: error });
    }
  }
  assert.ok(failed > CASES / 100, 'damage does something');
});

test('noise after a valid beginning', () => {
  const random = generator();
  const context = new Http2Context();
  for (let i = 0; i < CASES; i++) {
    const noise = Buffer.from(
      Array.from({ length: 60 }, () => (random() < 0.6 ? random() * 6 : random() * 256)),
    );
    const peer = new Endpoint('server', context);
    peer.receive(Buffer.concat([PREFACE, SETTINGS, noise]));
    check(peer);
    assert.notEqual(peer.error?.fault, 'ENGINE', noise.toString('hex'));
  }
});
