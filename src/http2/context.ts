/** What the connections of one process (or worker) share. They are driven one after the other, never within another. */
import { HTTP2_LIMITS } from '../core/limits.ts';
import { FaultCounts } from './errors.ts';
import { HeaderList, ListMemory } from './header-list.ts';
import { type DecoderShared, scratchBytes } from './hpack/decoder.ts';
import { FieldFlag, SharedFields } from './hpack/fields.ts';
import type { Classify, HeaderNames } from './hpack/names.ts';
import { headerNames, StaticTable } from './hpack/static-table.ts';
import { SlabPool } from './output.ts';

export interface ContextOptions {
  /** Gives kinds to names that the engine's user looks for in header lists; none by default. */
  classify?: Classify;
  /** Whether header blocks are remembered by their octets, and fields as objects; true by default. What is on the wire means the same either way. */
  rememberBlocks?: boolean;
  /** Most fields that any connection is set to take; HTTP2_LIMITS.headerFields by default. */
  maxHeaderFields?: number;
}

export class Http2Context implements DecoderShared {
  readonly names: HeaderNames;
  readonly statics: StaticTable;
  readonly scratch: Buffer = Buffer.allocUnsafeSlow(scratchBytes(HTTP2_LIMITS.headerBlockBytes));
  /** What blocks are decoded into. */
  readonly list: HeaderList;
  readonly lists = new ListMemory();
  readonly fields: SharedFields | undefined;
  readonly slabs = new SlabPool();
  readonly faults = new FaultCounts();
  readonly rememberBlocks: boolean;
  /** Whether a connection is receiving now: none must within another. */
  receiving = false;

  constructor(options: ContextOptions = {}) {
    this.names = headerNames(options.classify);
    this.statics = new StaticTable(this.names);
    this.list = new HeaderList(options.maxHeaderFields ?? HTTP2_LIMITS.headerFields);
    this.rememberBlocks = options.rememberBlocks ?? true;
    this.fields = this.rememberBlocks ? new SharedFields() : undefined;
  }

  /**
   * A list of our own that is sent often, such as the head of a response: it is encoded once a connection.
   * Values are ASCII.
   */
  listOf(fields: readonly (readonly [name: string, value: string])[]): HeaderList {
    const list = new HeaderList(fields.length);
    list.clear(NO_BLOCK);
    for (const [text, value] of fields) {
      const name = this.names.named(text);
      const bytes = Buffer.from(value, 'latin1');
      const known = this.statics.find(name, bytes, 0, bytes.length);
      if (known === undefined) list.add(name, bytes, 0, bytes.length, FieldFlag.INDEXED, 0, 0, 0);
      else list.append(known);
      list.bytes += name.length + bytes.length + 32;
    }
    return this.lists.of(list);
  }
}

const NO_BLOCK = Buffer.alloc(0);
