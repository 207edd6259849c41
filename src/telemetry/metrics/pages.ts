/**
 * Text as octets, in pages. A string that is put together bit by bit is a tree of all its bits, and where it lives for
 * longer than a moment they are all copied into the old generation, once a scrape 6 MiB of them with 10,000 backends:
 * pages are outside of the heap, and bits are gone before a collection sees them.
 */

const PAGE = 64 * 1024;
/** Octets that a UTF-16 unit has in UTF-8 at most. */
const WIDEST = 3;

export class Pages {
  private readonly full: Buffer[] = [];
  private page = Buffer.allocUnsafeSlow(PAGE);
  private at = 0;

  add(text: string): void {
    const most = text.length * WIDEST;
    if (most > PAGE - this.at) this.turn();
    if (most > PAGE) this.full.push(Buffer.from(text));
    else this.at += this.page.write(text, this.at);
  }

  /** All of it, in order; nothing is to be added any more. */
  end(): readonly Uint8Array[] {
    this.turn();
    return this.full;
  }

  private turn(): void {
    if (this.at === 0) return;
    this.full.push(this.page.subarray(0, this.at));
    this.page = Buffer.allocUnsafeSlow(PAGE);
    this.at = 0;
  }
}
