/** A backend for long streams, a process of its own: each piece of a stream comes back. It prints its address. */
import { encode } from '../../support/h2/hpack.ts';
import type { Peer } from '../../support/h2/peer.ts';
import { RESPONSE, startUpstream } from '../../support/h2/upstream.ts';
import { data, type Frame, headers, Setting, Type, windowUpdate } from '../../support/h2/wire.ts';

const WINDOW = 2 ** 24;
const response = encode(RESPONSE);

const upstream = await startUpstream({
  settings: [
    [Setting.MAX_CONCURRENT_STREAMS, 20_000],
    [Setting.INITIAL_WINDOW_SIZE, WINDOW],
  ],
  onStream: ({ peer, stream, nthHere }) => {
    if (nthHere === 1) echoOn(peer);
    peer.send(headers(stream, response));
  },
});
console.log(upstream.address);

/** All streams of a connection: what comes waits for credit of the connection, that of streams is never short. */
function echoOn(peer: Peer): void {
  let window = 65_535;
  const waiting: Buffer[] = [];
  const take = ({ type, stream, payload }: Frame): void => {
    if (type === Type.DATA && payload.length > 0) waiting.push(data(stream, payload));
    else if (type === Type.WINDOW_UPDATE && stream === 0) window += payload.readUInt32BE(0);
    else return;
    let sent = 0;
    for (const each of waiting) {
      if (each.length - 9 > window) break;
      window -= each.length - 9;
      sent++;
    }
    if (sent > 0) peer.send(...waiting.splice(0, sent));
  };
  // Credit that came before the first stream.
  for (const each of peer.frames) if (each.type === Type.WINDOW_UPDATE) take(each);
  peer.frames.length = 0;
  peer.keep = false;
  const before = peer.onFrame;
  peer.onFrame = frame => {
    before(frame);
    take(frame);
  };
  peer.send(windowUpdate(0, WINDOW));
}
