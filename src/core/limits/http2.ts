/** Limits of HTTP/2 connections. */

/** What one HTTP/2 connection may cost, whatever its peer does. All of them can be set per connection. */
export const HTTP2_LIMITS = {
  /** Streams that a peer may have open at once (SETTINGS_MAX_CONCURRENT_STREAMS); HAProxy advertises the same. */
  maxConcurrentStreams: 100,
  /** SETTINGS_INITIAL_WINDOW_SIZE: what one stalled stream can make us hold. */
  streamWindowBytes: 64 * 1024,
  /** Window of the connection: what may be under way between two turns of the event loop. */
  connectionWindowBytes: 1024 ** 2,
  /**
   * Bytes of DATA that the streams of a connection hold together before the connection's window is no longer
   * given back at once. All stalled streams at the default fit (100 × 64 KiB), so that none stalls a neighbour.
   */
  heldBytes: 8 * 1024 ** 2,
  /** SETTINGS_MAX_FRAME_SIZE, the protocol's smallest; we send no longer frames either. */
  frameBytes: 16_384,
  /** Decoded size of a header list, each field counted with 32 more (RFC 9113 6.5.2); Envoy's 60 KiB, Go's 64. */
  headerListBytes: 64 * 1024,
  /** Fields of a header list, cookie crumbs counted one by one: many empty fields cost more than their octets. */
  headerFields: 128,
  /** Octets of a header block as they arrive: twice the list, as Huffman codes can be longer than what they code. */
  headerBlockBytes: 128 * 1024,
  /** CONTINUATION frames of one header block, as nghttp2: with 16 KiB each they exceed any block we take. */
  continuationFrames: 8,
  /** SETTINGS_HEADER_TABLE_SIZE, the protocol's default. */
  headerTableBytes: 4096,
  /** Most that our encoder's table takes, whatever the peer offers (hyper's rule). */
  encoderTableBytes: 4096,
  /** Field names kept as objects, process-wide; a power of two. Meshes use a few dozen. */
  namesRemembered: 1024,
  /** Octets of a field name that is kept as an object. */
  nameBytesRemembered: 128,
  /** Header blocks that a connection remembers by their octets; a power of two. A caller uses few methods. */
  blocksRemembered: 16,
  /** Octets of a block that is remembered. Longer ones have values of their own and do not come again. */
  blockBytesRemembered: 512,
  /** Decoded size of a list that is remembered, so that a short block of large indexed fields is not kept. */
  listBytesRemembered: 4096,
  /** Distinct header lists remembered process-wide; a power of two: 4 MiB at most. */
  listsRemembered: 1024,
  /** Looks in vain after which the memory of blocks rests, and for how many blocks it then does. */
  blockMisses: 32,
  blockRest: 256,
  /** Bytes of an output slab: four whole DATA frames, more than a turn of the event loop mostly writes. */
  slabBytes: 64 * 1024 + 1024,
  /** Bytes of the slab that a turn's output begins in: the answers of some unary calls. */
  smallSlabBytes: 4096,
  /** Free slabs that are kept for the next turn, process-wide: 8 MiB of large ones and 4 MiB of small ones at most. */
  slabsKept: 128,
  smallSlabsKept: 1024,
  /** Output that waits for a slow reader before no more DATA is taken for it. */
  outputBytes: 256 * 1024,
  /** Output that waits, at which a peer that keeps asking for answers without reading them is cut off. */
  outputBytesHard: 1024 ** 2,
  /** Streams reset by the peer right after they were opened: burst and rate (nghttp2: 1000 and 33/s). */
  rapidResets: { burst: 1000, perSecond: 100 },
  /**
   * A stream reset after this long was no rapid reset, ms: its caller gave up, as all callers do at their deadlines
   * when backends hang. With 100 streams at once they are at most 500 a second.
   */
  rapidResetAgeMs: 200,
  /** Rapid resets that each call brought to its end earns: callers that hedge cancel the slower one (Envoy: half may). */
  rapidResetsPerDone: 1,
  /** Part of the burst of rapid resets at which a GOAWAY asks the peer to leave, before the connection is closed. */
  rapidResetWarning: 0.75,
  /** Streams that a peer makes us reset (MadeYouReset): burst and rate (Sōzu: 500). */
  faults: { burst: 500, perSecond: 10 },
  /** PING: grpc-go sends one for each round trip with DATA, so that each frame of ours earns one more. */
  pings: { burst: 1000, perSecond: 100 },
  /** SETTINGS. */
  settings: { burst: 100, perSecond: 10 },
  /** PRIORITY: each opened stream earns 100 (Envoy). */
  priorities: { burst: 1000, perSecond: 100 },
  prioritiesPerStream: 100,
  /** WINDOW_UPDATE: each opened stream earns 2 and each DATA frame sent 20 (Envoy). */
  windowUpdates: { burst: 2000, perSecond: 200 },
  windowUpdatesPerStream: 2,
  windowUpdatesPerData: 20,
  /** Most that DATA earns: what 100,000 small frames under way may be answered by, at once. */
  windowUpdatesEarned: 2_000_000,
  /** DATA that carries next to nothing and ends nothing. */
  tinyData: { burst: 1000, perSecond: 100 },
  /** DATA shorter than this is such: a gRPC message begins with 5 octets, so that whole messages are no shorter. */
  tinyDataBytes: 5,
  /** DATA of this length earns one that is shorter: windows leave remainders. */
  fullDataBytes: 1024,
  /** Frames that are only ignored: of unknown types, or on streams that are over. Each stream earns some. */
  strays: { burst: 1000, perSecond: 100 },
  straysPerStream: 8,
  /**
   * A stream that we opened and reset earns some beyond the burst: head, trailers and reset may be on their way. A
   * caller that goes away with thousands of calls must not cost the others their connection to the backend.
   */
  straysPerReset: 4,
  straysMost: 64 * 1024,
  /** Octets of GOAWAY debug data that are kept for the log. */
  debugBytes: 256,
  /** Fields of peers' tables that are kept as one object for all connections: what some hundred kinds of callers repeat; a power of two. */
  fieldsRemembered: 1024,
  /** Longest value of such a field: 256 KiB in all. Longer ones, such as tokens, are seldom shared. */
  fieldBytesRemembered: 256,
} as const;
