/** A DNS server on loopback: answers A and AAAA from a table that a test changes (RFC 1035 section 4). */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';

const HEADER_BYTES = 12;
const TYPE = { A: 1, AAAA: 28 } as const;
const RCODE = { NXDOMAIN: 3, SERVFAIL: 2 } as const;

export interface DnsServer {
  readonly address: string;
  /** Names, in lower case, with their addresses; without an entry there is no such name. */
  readonly table: Map<string, readonly string[]>;
  /** How it answers: by the table, with SERVFAIL, or not at all. */
  mood: 'answers' | 'fails' | 'silent';
  /** Questions that came. */
  asked: number;
  close(): Promise<void>;
}

export async function startDns(): Promise<DnsServer> {
  const socket: Socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const table = new Map<string, readonly string[]>();
  const server: DnsServer = {
    address: `127.0.0.1:${socket.address().port}`,
    table,
    mood: 'answers',
    asked: 0,
    close: () => new Promise(resolve => socket.close(() => resolve())),
  };
  socket.on('message', (question, from) => {
    server.asked++;
    if (server.mood === 'silent') return;
    socket.send(answer(question, table, server.mood === 'fails'), from.port, from.address);
  });
  return server;
}

function answer(question: Buffer, table: ReadonlyMap<string, readonly string[]>, fails: boolean): Buffer {
  const { name, end } = readName(question, HEADER_BYTES);
  const type = question.readUInt16BE(end);
  const known = table.get(name.toLowerCase());
  const wanted =
    known?.filter(ip => (type === TYPE.A ? isIPv4(ip) : type === TYPE.AAAA && !isIPv4(ip))) ?? [];
  const header = Buffer.from(question.subarray(0, HEADER_BYTES));
  const code = fails ? RCODE.SERVFAIL : known === undefined ? RCODE.NXDOMAIN : 0;
  // A response, recursion desired and available.
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(fails ? 0 : wanted.length, 6);
  header.writeUInt32BE(0, 8);
  const records = fails ? [] : wanted.map(ip => record(type, ip));
  return Buffer.concat([header, question.subarray(HEADER_BYTES, end + 4), ...records]);
}

function readName(buffer: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (let length = buffer[at] as number; length > 0; length = buffer[at] as number) {
    labels.push(buffer.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), end: at + 1 };
}

/** Name as a pointer to the question's, type, class IN, TTL 0, length, address. */
function record(type: number, ip: string): Buffer {
  const octets = isIPv4(ip) ? Buffer.from(ip.split('.').map(Number)) : ipv6(ip);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(octets.length, 10);
  return Buffer.concat([head, octets]);
}

function ipv6(ip: string): Buffer {
  const [before = '', after] = ip.split('::');
  const words = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const front = words(before);
  const back = words(after ?? '');
  const zeros = after === undefined ? 0 : 8 - front.length - back.length;
  const all = [...front, ...Array.from({ length: zeros }, () => '0'), ...back];
  const octets = Buffer.alloc(16);
  for (const [at, word] of all.entries()) octets.writeUInt16BE(Number.parseInt(word, 16), 2 * at);
  return octets;
}
