/** HTTP by hand: what a browser, a form on another site, or a broken client would put on the wire. */
import { once } from 'node:events';
import { connect } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Sends the lines as they are, and reads until the server closes; `connection: close` is for the caller to send. */
export async function raw(address: string, request: string): Promise<Answer> {
  const { hostname, port } = new URL(`http://${address}`);
  const socket = connect(Number(port), hostname.replace(/^\[|\]$/g, ''));
  await once(socket, 'connect');
  socket.write(request);
  let text = '';
  socket.setEncoding('utf8').on('data', chunk => (text += chunk));
  socket.on('error', () => {});
  await once(socket, 'close');
  return parse(text);
}

function parse(text: string): Answer {
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, Math.max(0, end)).split('\r\n');
  const headers = new Map(
    lines.map(line => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { status: Number(first.split(' ')[1]), headers, body: text.slice(end + 4) };
}

/** One request with these headers; a body is sent with its length. */
export function ask(
  address: string,
  line: string,
  headers: Readonly<Record<string, string>> = {},
  body = '',
): Promise<Answer> {
  const all = {
    host: address,
    connection: 'close',
    ...(body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return raw(address, `${line} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
}
