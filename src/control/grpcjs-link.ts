/**
 * The connection under a call of grpc-js. The library has no public way to the HTTP/2 session of a
 * server call, and a ping of it is the only proof that the peer's connection is alive: so this file
 * reaches through two of its private fields (`call.call.stream.session`), with every step checked.
 * `test/control/frame.test.ts` fails where a new version of the library moves them; the range of the
 * peer dependency keeps such a version out until then.
 */
import type { Link } from './rpc.ts';

interface Session {
  readonly destroyed: boolean;
  readonly closed: boolean;
  ping(done: (error: Error | null) => void): boolean;
}

function isSession(value: unknown): value is Session {
  return typeof value === 'object' && value !== null && 'ping' in value && typeof value.ping === 'function';
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

export function linkOf(call: unknown): Link {
  return {
    ping(timeoutMs, done) {
      const stream = field(field(call, 'call'), 'stream');
      const session = field(stream, 'session');
      if (!isSession(session) || session.destroyed || session.closed) {
        // A stream without a session is over. No stream is another grpc-js: nobody loses an id by that.
        done(stream === undefined);
        return;
      }
      let open = true;
      const settle = (answered: boolean) => {
        if (!open) return;
        open = false;
        clearTimeout(timer);
        done(answered);
      };
      const timer = setTimeout(settle, timeoutMs, false);
      try {
        // False: more pings are out than the session allows, none of them answered yet.
        if (!session.ping(error => settle(error === null))) settle(false);
      } catch {
        settle(false);
      }
    },
  };
}
