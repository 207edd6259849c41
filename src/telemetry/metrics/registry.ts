/** Who tells which metric, and the whole of it as text: made in slices, so that calls wait a few ms at most. */
import { METRIC_LIMITS } from '../../core/limits.ts';
import { Slices } from '../slices.ts';
import { CATALOG } from './catalog.ts';
import type { Family } from './family.ts';
import { type Format, Lines } from './lines.ts';
import { Pages } from './pages.ts';

/**
 * Writes the samples of a family. Where there may be many it is a generator that yields after each of a dozen or so:
 * the event loop gets its turn there.
 */
export type Read = (out: Lines) => Iterable<void> | void;

/** Characters that are put together before they become octets: a few dozen lines. */
const PIECE = 4 * 1024;

export class Registry {
  private readonly readers = new Map<Family, Read>();
  private readonly starts: (() => void)[] = [];
  private readonly slices = new Slices(METRIC_LIMITS.sliceMs);
  private rendering: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  /** What the last rendering took, ms, and the longest that it held up the event loop at a time. */
  lastMs = 0;
  lastSliceMs = 0;

  /** Says who tells a family of the catalogue; each family once. */
  add(family: Family, read: Read): void {
    if (this.readers.has(family)) throw new Error(`${family.name} is told of already`);
    if (!CATALOG.some(({ families }) => families.includes(family))) {
      throw new Error(`${family.name} is not in the catalogue: add it in src/telemetry/metrics/catalog.ts`);
    }
    this.readers.set(family, read);
  }

  /** Called before each rendering, for what several families have in common; quick. */
  onStart(look: () => void): void {
    this.starts.push(look);
  }

  /** Families that nobody tells of. */
  missing(): Family[] {
    return CATALOG.flatMap(({ families }) => families).filter(family => !this.readers.has(family));
  }

  /** All of it in UTF-8; undefined where too many wait for theirs already. */
  render(format: Format): Promise<readonly Uint8Array[]> | undefined {
    if (this.waiting >= METRIC_LIMITS.scrapes) return undefined;
    this.waiting++;
    // One after the other: what they have in common is of one moment.
    const mine = this.rendering.then(() => this.write(format));
    this.rendering = mine.catch(() => undefined).then(() => this.waiting--);
    return mine;
  }

  private async write(format: Format): Promise<readonly Uint8Array[]> {
    const { slices } = this;
    const out = new Lines(format);
    const pages = new Pages();
    slices.begin();
    for (const look of this.starts) look();
    for (const { families } of CATALOG) {
      for (const family of families) {
        const read = this.readers.get(family);
        if (read === undefined) continue;
        out.begin(family);
        const rows = read(out);
        if (rows === undefined) continue;
        for (const _ of rows) {
          if (out.text.length > PIECE) pages.add(out.take());
          if (slices.isOver) await slices.pause();
        }
        if (slices.isOver) await slices.pause();
      }
    }
    out.end();
    pages.add(out.take());
    slices.end();
    this.lastMs = slices.tookMs;
    this.lastSliceMs = slices.longestMs;
    return pages.end();
  }
}
