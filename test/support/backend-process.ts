/**
 * A backend as a process of its own, so that a test can kill or freeze it. It prints its address.
 *
 * `/test.v1.Test/Call` is answered after `--delay MS`, with `x-delay` in the head. `/test.v1.Test/Stream` gets a message every 50 ms until
 * the caller ends its side. SIGUSR1: ten times slower from now on. SIGUSR2: resets its connections by RST.
 * SIGTERM: ends as gRPC servers do (GOAWAY with the highest number, PING, GOAWAY with the last one).
 */
import { parseArgs } from 'node:util';
import { encode } from './h2/hpack.ts';
import type { Peer } from './h2/peer.ts';
import { type Arrival, OK, okFrames, RESPONSE, startUpstream } from './h2/upstream.ts';
import { data, Flag, headers, message } from './h2/wire.ts';

const { values } = parseArgs({ options: { delay: { type: 'string', default: '2' } } });
let delayMs = Number(values.delay);
let open = 0;
let ending = false;
const lastOf = new WeakMap<Peer, number>();

function streamed({ peer, stream }: Arrival): void {
  peer.send(headers(stream, encode(RESPONSE)));
  const timer = setInterval(() => peer.send(data(stream, message(Buffer.from('tick')))), 50);
  void peer.outcome(stream).then(({ ended }) => {
    clearInterval(timer);
    if (ended) peer.send(headers(stream, encode(OK), Flag.END_STREAM));
    done(peer, stream);
  });
}

function done(peer: Peer, stream: number): void {
  peer.forget(stream);
  open--;
  endWhenDone();
}

/** After the last GOAWAY, and by FIN, so that nothing that was written is lost. */
function endWhenDone(): void {
  if (!ending || open > 0) return;
  void Promise.all([...upstream.peers].map(peer => peer.end())).then(() => process.exit(0));
}

const upstream = await startUpstream({
  settings: [[3, 1_000]],
  onConnection: peer => {
    peer.keep = false;
    return undefined;
  },
  onStream: arrival => {
    const { peer, stream, fields } = arrival;
    open++;
    lastOf.set(peer, stream);
    if (fields.some(([name, value]) => name === ':path' && value.endsWith('/Stream'))) {
      streamed(arrival);
      return;
    }
    const took = delayMs;
    setTimeout(() => {
      const [, ...rest] = okFrames(stream);
      peer.send(headers(stream, encode([...RESPONSE, ['x-delay', String(took)]])), ...rest);
      done(peer, stream);
    }, took);
  },
});
process.on('SIGUSR1', () => {
  delayMs *= 10;
});
process.on('SIGUSR2', () => {
  for (const peer of upstream.peers) peer.abort();
});
process.on('SIGTERM', () => {
  upstream.refuse();
  const told = [...upstream.peers].map(async peer => {
    peer.goaway(2 ** 31 - 1);
    await peer.roundTrip().catch(() => undefined);
    peer.goaway(lastOf.get(peer) ?? 0);
  });
  void Promise.all(told).then(() => {
    ending = true;
    endWhenDone();
  });
});
console.log(upstream.address);
