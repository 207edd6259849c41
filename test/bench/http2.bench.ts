/**
 * The HTTP/2 engine without sockets: frames, header blocks, and whole unary calls through two connections, as a
 * proxy would relay them. What callers send was recorded from connections of our own, and from a plain encoder that
 * puts each field into its table, as grpc-go does.
 */

import { FrameWriter } from '../../src/http2/frame-writer.ts';
import { FrameReader, type FrameSink } from '../../src/http2/frames.ts';
import { BlockMemory } from '../../src/http2/hpack/block-memory.ts';
import { HpackDecoder } from '../../src/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/http2/hpack/encoder.ts';
import { type Connection, HeadersKind, Http2Context } from '../../src/http2/http2.ts';
import { Output, SlabPool } from '../../src/http2/output.ts';
import { type Field, ModelEncoder } from '../http2/hpack-model.ts';
import {
  Endpoint,
  frame,
  HELLO,
  OK,
  REQUEST,
  SETTINGS,
  SETTINGS_ACK,
  TRAILERS,
  word,
} from '../http2/support.ts';
import { generator } from '../support/seed.ts';
import { type BenchCase, BenchSuite } from './harness.ts';

const suite = new BenchSuite('http2');
const random = generator(1);
const hex = (digits: number): string =>
  Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('');

// Frames

const sink: FrameSink = { dataBegins() {}, dataPart() {}, dataPadding() {}, frame() {} };
function reading(name: string, one: Buffer, times: number): BenchCase {
  const chunk = Buffer.concat(Array.from({ length: times }, () => one));
  const reader = new FrameReader(sink, false, 16_384);
  return { name, unit: 'frame', operations: times, run: () => reader.read(chunk, 0, chunk.length) };
}
function writing(name: string, bytes: number): BenchCase {
  const out = new Output(new SlabPool(), { output() {} });
  const writer = new FrameWriter(out);
  const source = Buffer.alloc(bytes);
  return {
    name,
    unit: 'frame',
    operations: 1000,
    run() {
      for (let i = 0; i < 1000; i++) {
        writer.data(i & 1 ? 3 : 5, source, 0, bytes, false, 16_384);
        // As many as one turn of the event loop writes on a busy connection.
        if (i % 50 !== 49) continue;
        out.take();
        out.written();
      }
    },
  };
}

await suite.compare('frames', [
  reading('read WINDOW_UPDATE', frame(8, 0, 1, word(100)), 1000),
  reading('read DATA of 100 B', frame(0, 0, 1, Buffer.alloc(100)), 500),
  reading('read DATA of 16 KiB', frame(0, 0, 1, Buffer.alloc(16_384)), 50),
  writing('write DATA of 100 B', 100),
  writing('write DATA of 4 KiB', 4096),
]);

// Header blocks

const METADATA: Field[] = Array.from({ length: 12 }, (_, i) => [`x-meta-${i}`, `value of metadata ${i}`]);
const head = (): Field[] => REQUEST.map(([name, value]): Field => [name, value]);
const SHAPES: Record<string, () => Field[]> = {
  'the same each time': () => [...head(), ...METADATA],
  'traceparent and timeout differ': () => [
    ...head(),
    ['grpc-timeout', `${Math.floor(random() * 1e6)}u`],
    ['traceparent', `00-${hex(32)}-${hex(16)}-01`],
    ...METADATA,
  ],
  '20 values differ': () => [
    ...head(),
    ['grpc-timeout', `${Math.floor(random() * 1e6)}u`],
    ['traceparent', `00-${hex(32)}-${hex(16)}-01`],
    ...METADATA.map(([name]): Field => [name, hex(24)]),
    ...Array.from({ length: 8 }, (_, i): Field => [`x-more-${i}`, hex(24)]),
  ],
};
/** What repeats by index and everything else into the table, Huffman coded, as grpc-go does; or literals, not coded. */
const PEERS: Record<string, () => number> = { 'an indexing': () => 0.1, 'a plain': () => 0.8 };
const BLOCKS = 200;

/** Decodes the blocks of one connection, from its first on, and encodes them for another. */
function relaying(name: string, blocks: readonly Buffer[], rememberBlocks: boolean): BenchCase {
  const context = new Http2Context({ rememberBlocks });
  const out = new Output(context.slabs, { output() {} });
  return {
    name,
    unit: 'block',
    operations: blocks.length,
    run() {
      const decoder = new HpackDecoder(context, 4096, 128, 65_536);
      const memory = rememberBlocks ? new BlockMemory(context.lists) : undefined;
      const encoder = new HpackEncoder(out, rememberBlocks);
      for (const block of blocks) {
        let list = memory?.find(block, 0, block.length, decoder.table.epoch);
        if (list === undefined) {
          list = context.list;
          decoder.decode(block, 0, block.length, list);
          list = memory?.keep(block, 0, block.length, decoder, list) ?? list;
        }
        encoder.begin(9);
        encoder.list(list);
      }
      out.take();
      out.written();
    },
  };
}

for (const [peer, pick] of Object.entries(PEERS)) {
  const cases: BenchCase[] = [];
  for (const [shape, fields] of Object.entries(SHAPES)) {
    const encoder = new ModelEncoder(pick);
    const blocks = Array.from({ length: BLOCKS }, () => encoder.encode(fields()));
    for (const remember of [true, false]) {
      cases.push(relaying(`${shape}${remember ? '' : ', no memory'}`, blocks, remember));
    }
  }
  await suite.compare(`header blocks relayed, ${peer} peer`, cases);
}

// Calls

const CALLS = 1000;
const BATCH = 50;

interface Recording {
  /** What callers send, in batches, and what the backend answers to the same calls. */
  down: Buffer[];
  up: Buffer[];
}

/** Records a caller and a backend for calls of one shape. */
function record(fields: () => Field[], requestBytes: number, replyBytes: number): Recording {
  const encoder = new ModelEncoder(() => 0.1);
  const context = new Http2Context();
  const backend = new Endpoint('server', context);
  backend.receive(HELLO);
  backend.receive(SETTINGS_ACK);
  backend.receive(frame(8, 0, 0, word(1 << 30)));
  backend.take();
  const plain = new Http2Context({ rememberBlocks: false });
  const answer = context.listOf(OK);
  const trailers = context.listOf(TRAILERS);
  const reply = Buffer.alloc(replyBytes);
  backend.onData = (slot, _, __, ___, endStream) => {
    if (!endStream) return;
    backend.connection.sendList(slot, answer, false);
    backend.connection.sendData(slot, reply, 0, reply.length, false);
    backend.connection.sendList(slot, trailers, true);
  };
  const ask = new Endpoint('client', plain);
  ask.receive(SETTINGS);
  ask.receive(SETTINGS_ACK);
  ask.receive(frame(8, 0, 0, word(1 << 30)));
  backend.receive(ask.take().subarray(24));
  backend.take();
  const recording: Recording = { down: [], up: [] };
  const request = Buffer.alloc(requestBytes);
  const head = plain.listOf(REQUEST);
  for (let call = 0; call < CALLS; call += BATCH) {
    const batch: Buffer[] = [];
    for (let i = 0; i < BATCH; i++) {
      const id = (call + i) * 2 + 1;
      batch.push(frame(1, 4, id, encoder.encode(fields())), frame(0, 1, id, request));
      const slot = ask.connection.open();
      ask.connection.sendList(slot, head, false);
      ask.connection.sendData(slot, request, 0, request.length, true);
    }
    backend.receive(ask.take());
    const answers = backend.take();
    ask.receive(answers);
    recording.down.push(Buffer.concat(batch));
    recording.up.push(answers);
  }
  return recording;
}

/** The least that a relay does: every event of one side is passed to the other. */
class Relay extends Endpoint {
  other!: Relay;
  readonly #partner = new Int32Array(256).fill(-1);
  override headers(
    slot: number,
    list: Parameters<Endpoint['headers']>[1],
    kind: HeadersKind,
    end: boolean,
  ): void {
    const to = this.other.connection;
    if (kind === HeadersKind.REQUEST) this.pair(slot, to.open());
    to.sendList(this.#partner[slot] as number, list, end);
  }
  pair(slot: number, partner: number): void {
    this.#partner[slot] = partner;
    this.other.#partner[partner] = slot;
  }
  override data(slot: number, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    this.other.connection.sendData(this.#partner[slot] as number, buffer, start, end, endStream);
    this.connection.credit(slot, end - start);
  }
  override closed(): void {}
}

function drain(connection: Connection): void {
  connection.take();
  connection.written();
}

function calls(name: string, { down, up }: Recording, rememberBlocks: boolean): BenchCase {
  const context = new Http2Context({ rememberBlocks });
  return {
    name,
    unit: 'call',
    operations: CALLS,
    run() {
      const downstream = new Relay('server', context);
      const upstream = new Relay('client', context);
      downstream.other = upstream;
      upstream.other = downstream;
      downstream.receive(HELLO);
      downstream.receive(frame(8, 0, 0, word(1 << 30)));
      upstream.receive(SETTINGS);
      upstream.receive(frame(8, 0, 0, word(1 << 30)));
      for (let i = 0; i < down.length; i++) {
        downstream.receive(down[i] as Buffer);
        drain(upstream.connection);
        upstream.receive(up[i] as Buffer);
        drain(downstream.connection);
      }
      if (upstream.connection.openStreams !== 0 || downstream.error !== undefined)
        throw new Error('calls were lost');
    },
  };
}

if (suite.wants('unary calls')) {
  const cases: BenchCase[] = [];
  const plain = record(() => REQUEST.map(([name, value]): Field => [name, value]), 10, 10);
  cases.push(calls('six fields, 10 B each way', plain, true), calls('the same, no memory', plain, false));
  const realistic = record(SHAPES['traceparent and timeout differ'] as () => Field[], 1024, 4096);
  cases.push(calls('realistic, 1 KiB up, 4 KiB down', realistic, true));
  cases.push(calls('realistic, no memory', realistic, false));
  cases.push(
    calls('20 values differ', record(SHAPES['20 values differ'] as () => Field[], 1024, 4096), true),
  );
  await suite.compare(
    'unary calls relayed',
    cases,
    'both connections of a proxy, without sockets, routing and picks',
  );
}

suite.finish();
