/** Cuts text into the JSON values that stand in it one after another, as far as it has come. */

/** Text that holds no value where one was expected, or one that is too long. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
}

/**
 * A scanner over chunks: values are handed out as soon as they are whole, so that what is typed into a
 * stream is sent at once. Whether a value is valid JSON is for the parser to say.
 */
export class JsonValues {
  readonly #longest: number;
  #text = '';
  #from = -1;
  #at = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** @param longest characters of one value. */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /** Takes more text and returns the values that it completes. */
  push(chunk: string): string[] {
    this.#text += chunk;
    const values: string[] = [];
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at] ?? '';
      if (this.#from < 0) this.#begin(char);
      else if (this.#step(char)) values.push(this.#take());
      if (this.#from >= 0 && this.#at - this.#from >= this.#longest) {
        throw new JsonTextError(`a message is longer than ${this.#longest} characters`);
      }
    }
    if (this.#from < 0) this.#text = '';
    else this.#text = this.#text.slice(this.#from);
    this.#at -= Math.max(0, this.#from);
    if (this.#from < 0) this.#at = 0;
    else this.#from = 0;
    return values;
  }

  /** No more text comes. */
  end(): void {
    if (this.#from >= 0)
      throw new JsonTextError(`the last message is not complete: ${this.#text.slice(0, 60)}`);
  }

  #begin(char: string): void {
    if (/\s/.test(char)) return;
    // Every message of protobuf is an object in JSON, but for some well-known types, which no method takes alone.
    if (char !== '{') throw new JsonTextError(`a message begins with '${char}'; expected a JSON object`);
    this.#from = this.#at;
    this.#depth = 1;
  }

  /** True where the character ends the value. */
  #step(char: string): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (char === '\\') this.#escaped = true;
      else if (char === '"') this.#inString = false;
      return false;
    }
    if (char === '"') this.#inString = true;
    else if (char === '{' || char === '[') this.#depth++;
    else if (char === '}' || char === ']') this.#depth--;
    return this.#depth === 0;
  }

  #take(): string {
    const value = this.#text.slice(this.#from, this.#at + 1);
    this.#from = -1;
    return value;
  }
}
