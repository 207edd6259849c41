/**
 * Where log lines go, with a bound: who reads them may stop, and the disk may be full. The process goes on then; what
 * has no room is dropped, counted, and told of as soon as lines are taken again.
 *
 * A file is written to by the thread pool, since a write of the stream that Node makes of one waits for the disk, and
 * ends for good by its first error. A pipe's stream does not wait; what it holds is bounded here. A terminal is
 * written to at once: its reader is a person.
 */
import { fstatSync, write, writeSync } from 'node:fs';
import { LOG_LIMITS } from '../../core/limits.ts';

export type OutputStream = NodeJS.WritableStream & {
  readonly isTTY?: boolean;
  /** Where it is one of the process's own. */
  readonly fd?: number;
};

export interface LogOutput {
  write(line: string): void;
  /** Lines so far. */
  readonly counts: { written: number; dropped: number };
  /** Resolves once all is written, and after so long, ms. False: it is not. */
  flush(mostMs: number): Promise<boolean>;
}

/** @param recovered lines are taken again, after so many were dropped */
export function openOutput(stream: OutputStream, recovered: (dropped: number) => void): LogOutput {
  const { fd } = stream;
  const isFile = fd !== undefined && stream.isTTY !== true && isFileLike(fd);
  return isFile ? new FileOutput(fd, recovered) : new StreamOutput(stream, recovered);
}

function isFileLike(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFile() || stat.isCharacterDevice() || stat.isBlockDevice();
  } catch {
    return false;
  }
}

class StreamOutput implements LogOutput {
  readonly counts = { written: 0, dropped: 0 };
  private readonly stream: NodeJS.WritableStream & { readonly writableLength?: number };
  private untold = 0;

  constructor(stream: NodeJS.WritableStream, recovered: (dropped: number) => void) {
    this.stream = stream;
    // Without a listener an error, such as of a reader that is gone, would end the process.
    stream.on('error', () => {});
    stream.on('drain', () => {
      if (this.untold === 0) return;
      const dropped = this.untold;
      this.untold = 0;
      recovered(dropped);
    });
  }

  write(line: string): void {
    if (!this.stream.writable || (this.stream.writableLength ?? 0) > LOG_LIMITS.waitingBytes) {
      this.counts.dropped++;
      this.untold++;
      return;
    }
    this.counts.written++;
    this.stream.write(line);
  }

  async flush(mostMs: number): Promise<boolean> {
    const { stream } = this;
    if (!stream.writable || (stream.writableLength ?? 0) === 0) return true;
    return Promise.race([
      new Promise<true>(resolve => stream.write('', () => resolve(true))),
      new Promise<false>(resolve => setTimeout(() => resolve(false), mostMs).unref()),
    ]);
  }
}

class FileOutput implements LogOutput {
  readonly counts = { written: 0, dropped: 0 };
  private readonly fd: number;
  private readonly recovered: (dropped: number) => void;
  private lines: string[] = [];
  private bytes = 0;
  private busy = false;
  private untold = 0;
  private idle: (() => void) | undefined;

  constructor(fd: number, recovered: (dropped: number) => void) {
    this.fd = fd;
    this.recovered = recovered;
    process.on('exit', () => this.last());
  }

  write(line: string): void {
    if (this.bytes > LOG_LIMITS.waitingBytes) {
      this.drop(1);
      return;
    }
    this.lines.push(line);
    this.bytes += line.length;
    if (!this.busy) this.next();
  }

  async flush(mostMs: number): Promise<boolean> {
    if (!this.busy) return true;
    return new Promise(resolve => {
      const timer = setTimeout(() => resolve(false), mostMs);
      this.idle = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  private next(): void {
    const { lines } = this;
    if (lines.length === 0) {
      this.busy = false;
      this.idle?.();
      return;
    }
    this.busy = true;
    this.lines = [];
    this.bytes = 0;
    this.put(Buffer.from(lines.join('')), 0, lines.length);
  }

  private put(buffer: Buffer, from: number, lines: number): void {
    write(this.fd, buffer, from, buffer.length - from, null, (error, written) => {
      if (error !== null) {
        this.drop(lines);
        setTimeout(() => this.next(), LOG_LIMITS.retryMs).unref();
      } else if (from + written < buffer.length) {
        this.put(buffer, from + written, lines);
      } else {
        this.counts.written += lines;
        this.tell();
        this.next();
      }
    });
  }

  private drop(lines: number): void {
    this.counts.dropped += lines;
    this.untold += lines;
  }

  private tell(): void {
    if (this.untold === 0) return;
    const dropped = this.untold;
    this.untold = 0;
    this.recovered(dropped);
  }

  /** The process ends now: what waits is written at once. */
  private last(): void {
    if (this.lines.length === 0) return;
    try {
      writeSync(this.fd, this.lines.join(''));
    } catch {
      // There is nobody left to tell.
    }
  }
}
