/**
 * Texts by row, and who has been told which: what a slow reader has missed is not kept for it, since the
 * newest text of a row stands for all before.
 */

export interface Texts {
  /** Rows that were ever given out. */
  readonly size: number;
  /** 0: there is nothing to tell of the row. */
  versionAt(row: number): number;
  textAt(row: number): string;
}

export class Column implements Texts {
  size = 0;
  private readonly texts: string[] = [];
  private readonly versions: number[] = [];
  private version = 0;

  /** No version where the text is the same. */
  set(row: number, text: string): void {
    if (row < this.size && this.texts[row] === text) return;
    while (this.size <= row) {
      this.texts[this.size] = '';
      this.versions[this.size++] = 0;
    }
    this.texts[row] = text;
    this.versions[row] = ++this.version;
  }

  /** A row that has no text has nothing to tell. */
  clear(row: number): void {
    if (row >= this.size) return;
    this.texts[row] = '';
    this.versions[row] = 0;
  }

  textAt(row: number): string {
    return this.texts[row] ?? '';
  }

  versionAt(row: number): number {
    return this.versions[row] ?? 0;
  }
}

/** What one reader has been told of a column. */
export class Told {
  private readonly column: Texts;
  private readonly versions: number[] = [];
  /** Where the next turn begins, so that all rows have theirs where not all fit into one message. */
  private from = 0;
  /** Whether the last turn left rows out that the reader does not know as they are. */
  behind = false;

  constructor(column: Texts) {
    this.column = column;
  }

  /** True where the reader knows of the row as it is, or as it was. */
  has(row: number): boolean {
    return (this.versions[row] ?? 0) > 0;
  }

  forget(row: number): void {
    this.versions[row] = 0;
  }

  forgetAll(): void {
    this.versions.length = 0;
  }

  /**
   * The texts of rows that the reader does not know as they are, until they have `most` characters.
   *
   * @param first rows that have their turn before all others
   */
  take(most: number, wanted?: (row: number) => boolean, first: readonly number[] = []): string[] {
    const { column, versions } = this;
    const { size } = column;
    const texts: string[] = [];
    let length = 0;
    this.behind = false;
    /** False where there is no room for it. */
    const tell = (row: number): boolean => {
      const version = column.versionAt(row);
      if (version === 0 || versions[row] === version || wanted?.(row) === false) return true;
      if (length >= most) return false;
      const text = column.textAt(row);
      texts.push(text);
      length += text.length + 1;
      versions[row] = version;
      return true;
    };
    for (const row of first) if (!tell(row)) this.behind = true;
    const start = size === 0 ? 0 : this.from % size;
    for (let i = 0; i < size; i++) {
      const row = (start + i) % size;
      if (tell(row)) continue;
      this.behind = true;
      this.from = row;
      break;
    }
    return texts;
  }
}

/** What is there no more, in order: the last ones of it. */
export class Departed<T> {
  private readonly held: number;
  private last: T[] = [];
  private before = 0;

  /** @param held at least so many are known */
  constructor(held: number) {
    this.held = held;
  }

  /** How many there were ever. */
  get count(): number {
    return this.before + this.last.length;
  }

  add(one: T): void {
    this.last.push(one);
    if (this.last.length <= 2 * this.held) return;
    this.before += this.last.length - this.held;
    this.last = this.last.slice(-this.held);
  }

  /** Those since there were `count`; undefined where some of them are no longer known. */
  since(count: number): readonly T[] | undefined {
    return count < this.before ? undefined : this.last.slice(count - this.before);
  }
}
