/**
 * Backends for a benchmark: connections that register and report once a second, as frames made by
 * hand, so that thousands fit into one process. Arguments: control address, number, seconds, and the port that they
 * are said to listen on, each at an address of its own of 127.0.0.0/8: nothing of this ever leaves the machine.
 */
import { connect, type Socket } from 'node:net';
import { ReportLoadRequest } from '../../src/gen/heapmesh/v1/load_report.ts';
import { OrcaLoadReport } from '../../src/gen/xds/data/orca/v3/orca_load_report.ts';

const [address = '', count = '0', seconds = '0', servingPort = '50051'] = process.argv.slice(2);
const [host = '', port = ''] = address.split(':');
const PATH = '/heapmesh.v1.LoadReportService/ReportLoad';
const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const PING = 6;
const END_HEADERS = 4;
const ACK = 1;

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, 9);
  return bytes;
}

/** RFC 7541 section 6.2.2: a literal without indexing, its name by index (below 16, else in two octets) or anew. */
function literal(name: number | string, value: string): Buffer {
  const text = Buffer.from(value);
  if (typeof name === 'string') {
    return Buffer.concat([
      Buffer.from([0, name.length]),
      Buffer.from(name),
      Buffer.from([text.length]),
      text,
    ]);
  }
  const index = name < 15 ? [name] : [15, name - 15];
  return Buffer.concat([Buffer.from([...index, text.length]), text]);
}

const POST = 0x83;
const HTTP = 0x86;
const head = Buffer.concat([
  Buffer.from([POST, HTTP]),
  literal(4, PATH),
  literal(1, address),
  literal(31, 'application/grpc'),
  literal('te', 'trailers'),
]);
const opening = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(SETTINGS, 0, 0, new Uint8Array(0)),
  frame(SETTINGS, ACK, 0, new Uint8Array(0)),
  frame(HEADERS, END_HEADERS, 1, head),
]);

function message(request: Parameters<typeof ReportLoadRequest.fromPartial>[0]): Buffer {
  const encoded = ReportLoadRequest.encode(ReportLoadRequest.fromPartial(request)).finish();
  const framed = Buffer.alloc(5 + encoded.length);
  framed.writeUInt32BE(encoded.length, 1);
  framed.set(encoded, 5);
  return frame(DATA, 0, 1, framed);
}

const sockets: Socket[] = [];
let closed = 0;

function open(i: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), noDelay: true });
    sockets.push(socket);
    socket.once('error', reject);
    socket.on('close', () => closed++);
    socket.once('connect', () => {
      const value = {
        id: `backend-${i}`,
        address: `127.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}:${servingPort}`,
        services: ['echo.v1.EchoService'],
        weight: 1,
        labels: { version: '1.4.2' },
      };
      const registration = { kind: { $case: 'registration', value }, sequence: 1n } as const;
      socket.write(Buffer.concat([opening, message(registration)]));
      resolve();
    });
    // What a peer says of windows and settings may be passed over: there is room enough for what is sent.
    let unread = Buffer.alloc(0);
    socket.on('data', chunk => {
      unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
      let at = 0;
      while (unread.length - at >= 9) {
        const end = at + 9 + unread.readUIntBE(at, 3);
        if (end > unread.length) break;
        // Whoever does not answer is taken for dead.
        if (unread[at + 3] === PING && ((unread[at + 4] as number) & ACK) === 0) {
          socket.write(frame(PING, ACK, 0, unread.subarray(at + 9, end)));
        }
        at = end;
      }
      unread = unread.subarray(at);
    });
  });
}

for (let i = 0; i < Number(count); i += 100) {
  await Promise.all(Array.from({ length: Math.min(100, Number(count) - i) }, (_, k) => open(i + k)));
}
process.send?.({ open: sockets.length });

let sequence = 1n;
let next = 0;
let due = 0;
let sent = 0;
let last = performance.now();
const timer = setInterval(() => {
  const now = performance.now();
  due += ((now - last) * sockets.length) / 1000;
  last = now;
  for (; due >= 1; due--) {
    if (next === 0) sequence++;
    const value = OrcaLoadReport.fromPartial({
      cpuUtilization: 0.4 + (next % 13) / 30,
      rpsFractional: 120.5,
      eps: 0.25,
      namedMetrics: { in_flight: next % 20 },
    });
    sockets[next]?.write(message({ kind: { $case: 'load', value }, sequence }));
    sent++;
    next = (next + 1) % sockets.length;
  }
}, 5);
process.on('message', () => process.send?.({ sent, closed }));
// Nobody is left to report for.
process.on('disconnect', () => process.exit(0));
setTimeout(() => {
  clearInterval(timer);
  process.exit(0);
}, Number(seconds) * 1000);
