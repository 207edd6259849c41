/**
 * One process a directory. Who wants it listens on a socket of its own in the directory, and only then
 * asks all others that are there; so of two that come at once at least one sees the other. A socket that
 * refuses belongs to a process that is dead, however it died and whatever has its number now; the kernel
 * answers for it in other containers too. A socket of another machine cannot be asked: the heartbeat of
 * its file tells.
 */
import { open, readFile, stat, unlink, utimes } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { STATE_LIMITS } from '../core/limits.ts';
import type { Files } from './files.ts';

export class LockedError extends Error {
  override readonly name = 'LockedError';
}

export interface Lock {
  release(): Promise<void>;
}

const NAME = /^lock-([0-9a-f]+)-\d+-[0-9a-f]+\.sock$/;
/** Longest path of a socket that every system takes. */
const PATH_OCTETS = 100;

type Answer = 'held' | 'asking' | 'dead';

/** @throws LockedError where another process has the directory. */
export async function lockDirectory(
  files: Files,
  random: () => number,
  onNote: (text: string) => void,
): Promise<Lock> {
  const machine = await machineId();
  const own = `lock-${machine}-${process.pid}-${Math.floor(random() * 2 ** 32).toString(16)}.sock`;
  const directory = await Reach.into(files.directory);
  let answer: Answer = 'asking';
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.end(`${answer}\n${process.pid}\n`);
  });
  try {
    await listening(server, directory.path(own));
    server.unref();
    for (let attempt = 1; ; attempt++) {
      const rival = await firstRival(files, directory, own, machine, onNote);
      if (rival === undefined) break;
      const lost = rival.answer === 'held' || rival.name < own;
      if (lost || attempt > STATE_LIMITS.lockAttempts) {
        throw new LockedError(
          `${files.directory} is in use by process ${rival.pid}: one instance a directory. Give this one another \`state.directory\`, or end the other first`,
        );
      }
      // The other one sees this one too, and gives way.
      await sleep(STATE_LIMITS.lockPauseMs);
    }
  } catch (error) {
    await closed(server);
    await directory.close();
    throw error;
  }
  answer = 'held';
  const path = join(files.directory, own);
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, STATE_LIMITS.lockBeatMs);
  beat.unref();
  return {
    release: async () => {
      clearInterval(beat);
      await closed(server);
      await directory.close();
    },
  };
}

/** The first one of the others that is alive; what dead ones left is removed. */
async function firstRival(
  files: Files,
  directory: Reach,
  own: string,
  machine: string,
  onNote: (text: string) => void,
): Promise<{ name: string; answer: Answer; pid: string } | undefined> {
  for (const name of (await files.list()).sort()) {
    const where = NAME.exec(name)?.[1];
    if (where === undefined || name === own) continue;
    const pid = name.split('-')[2] ?? '';
    if (where !== machine) {
      if (await beats(join(files.directory, name)))
        return { name, answer: 'held', pid: `${pid} of another machine` };
      onNote(
        `${files.directory} was in use by process ${pid} of another machine, which shows no sign of life`,
      );
    } else {
      const answer = await ask(directory.path(name));
      if (answer !== 'dead') return { name, answer, pid };
    }
    await unlink(join(files.directory, name)).catch(() => {});
  }
  return undefined;
}

/** Whether the file's time moves on within more than two beats. */
async function beats(path: string): Promise<boolean> {
  const time = async (): Promise<number> => (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
  const before = await time();
  await sleep(2.5 * STATE_LIMITS.lockBeatMs);
  return (await time()) !== before;
}

function ask(path: string): Promise<Answer> {
  return new Promise(resolve => {
    const socket = connect(path);
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', part => {
      text += part;
    });
    // One that takes the connection and does not answer is alive: stopped, or very busy.
    socket.setTimeout(STATE_LIMITS.lockAnswerMs, () => {
      socket.destroy();
      resolve('held');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'dead' : 'held');
    });
    // A process that ends while it is asked closes without a word.
    socket.on('close', () => resolve(text.startsWith('asking') ? 'asking' : text === '' ? 'dead' : 'held'));
  });
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise(resolve => {
    if (server.listening) server.close(() => resolve());
    else resolve();
  });
}

/** Changes with every boot, and is the same in all containers of a machine; empty where a system has none. */
async function machineId(): Promise<string> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return text.replaceAll(/[^0-9a-f]/g, '') || '0';
}

/** Paths of sockets are short: a long directory is reached by its descriptor. */
class Reach {
  readonly #directory: string;
  readonly #handle: Awaited<ReturnType<typeof open>> | undefined;

  private constructor(directory: string, handle: Awaited<ReturnType<typeof open>> | undefined) {
    this.#directory = directory;
    this.#handle = handle;
  }

  static async into(directory: string): Promise<Reach> {
    const longest = Buffer.byteLength(directory) + 80;
    return new Reach(directory, longest > PATH_OCTETS ? await open(directory, 'r') : undefined);
  }

  path(name: string): string {
    return this.#handle === undefined
      ? join(this.#directory, name)
      : `/proc/self/fd/${this.#handle.fd}/${name}`;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }
}
