/**
 * What can be wrong with a peer: faults that end the connection, and faults that end one stream.
 *
 * Each fault has a token of a closed set, an error code of RFC 9113 section 7, and a text for people. Tokens
 * are counted (`FaultCounts`), so that telemetry can tell an attack from a broken client.
 */

/** RFC 9113 section 7. */
export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

const NAMES = Object.keys(ErrorCode);

/** The name of an error code, `0x2a` for one beyond the RFC's. */
export function errorName(code: number): string {
  return NAMES[code] ?? `0x${code.toString(16)}`;
}

const { PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR } = ErrorCode;
const { COMPRESSION_ERROR, ENHANCE_YOUR_CALM, REFUSED_STREAM, SETTINGS_TIMEOUT } = ErrorCode;

interface Fault {
  readonly code: ErrorCode;
  readonly text: string;
}

/** Faults that end the connection, by token. */
export const CONNECTION_FAULTS = {
  BAD_PREFACE: { code: PROTOCOL_ERROR, text: 'the connection does not begin with the HTTP/2 preface' },
  NO_SETTINGS: { code: PROTOCOL_ERROR, text: 'the first frame is not SETTINGS' },
  SETTINGS_LATE: { code: SETTINGS_TIMEOUT, text: 'SETTINGS were not acknowledged in time' },
  FRAME_TOO_LONG: { code: FRAME_SIZE_ERROR, text: 'a frame is longer than SETTINGS_MAX_FRAME_SIZE' },
  FRAME_LENGTH: { code: FRAME_SIZE_ERROR, text: 'a frame has a length that its type does not allow' },
  STREAM_ZERO: { code: PROTOCOL_ERROR, text: 'a frame of a stream came on stream 0' },
  STREAM_NOT_ZERO: { code: PROTOCOL_ERROR, text: 'a frame of the connection came on a stream' },
  STREAM_ID: { code: PROTOCOL_ERROR, text: 'a stream was opened with an identifier that is not its to use' },
  STREAM_IDLE: { code: PROTOCOL_ERROR, text: 'a frame came on a stream that was never opened' },
  STREAM_OVER: { code: STREAM_CLOSED, text: 'HEADERS came on a stream that its sender had closed' },
  PADDING: { code: PROTOCOL_ERROR, text: 'padding is as long as the frame or longer' },
  HEADERS_INTERRUPTED: { code: PROTOCOL_ERROR, text: 'another frame came within a header block' },
  CONTINUATION_ALONE: { code: PROTOCOL_ERROR, text: 'CONTINUATION without a header block before it' },
  CONTINUATION_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'a header block has too many CONTINUATION frames' },
  HEADER_BLOCK_LONG: { code: ENHANCE_YOUR_CALM, text: 'a header block is too long' },
  HPACK: { code: COMPRESSION_ERROR, text: 'a header block cannot be decoded' },
  SETTING_VALUE: { code: PROTOCOL_ERROR, text: 'a setting has a value that it must not have' },
  SETTING_WINDOW: { code: FLOW_CONTROL_ERROR, text: 'SETTINGS_INITIAL_WINDOW_SIZE is above 2^31-1' },
  WINDOW_ZERO: { code: PROTOCOL_ERROR, text: 'WINDOW_UPDATE of the connection by 0' },
  WINDOW_OVERFLOW: { code: FLOW_CONTROL_ERROR, text: 'a flow-control window went above 2^31-1' },
  WINDOW_OVERRUN: { code: FLOW_CONTROL_ERROR, text: 'more DATA than the window of the connection allows' },
  PUSH: { code: PROTOCOL_ERROR, text: 'PUSH_PROMISE, which is switched off' },
  GOAWAY_GREW: { code: PROTOCOL_ERROR, text: 'a GOAWAY named a higher stream than the one before' },
  RESET_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'too many streams were reset right after they were opened' },
  FAULT_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'too many streams had to be reset because of their faults' },
  PING_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'too many PING frames' },
  SETTINGS_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'too many SETTINGS frames' },
  EMPTY_DATA_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'too many DATA frames with nothing or next to nothing' },
  PRIORITY_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'too many PRIORITY frames' },
  WINDOW_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'too many WINDOW_UPDATE frames' },
  STRAY_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'too many frames of unknown types or on closed streams' },
  HELD_MOST: {
    code: ENHANCE_YOUR_CALM,
    text: 'too much is held for all, and most of it for this connection',
  },
  OUTPUT_FLOOD: { code: ENHANCE_YOUR_CALM, text: 'answers are asked for but not read' },
  ENGINE: { code: INTERNAL_ERROR, text: 'a fault of our own' },
} as const satisfies Record<string, Fault>;
export type ConnectionFault = keyof typeof CONNECTION_FAULTS;

/** Faults that end one stream, by token. */
export const STREAM_FAULTS = {
  FIELD_NAME: { code: PROTOCOL_ERROR, text: 'a field name is empty or has an octet that it must not have' },
  FIELD_VALUE: { code: PROTOCOL_ERROR, text: 'a field value has CR, LF, NUL or outer whitespace' },
  CONNECTION_FIELD: { code: PROTOCOL_ERROR, text: 'a connection-specific field' },
  TE: { code: PROTOCOL_ERROR, text: 'te has a value other than trailers' },
  PSEUDO_LATE: { code: PROTOCOL_ERROR, text: 'a pseudo-header field after a regular one' },
  PSEUDO_UNKNOWN: { code: PROTOCOL_ERROR, text: 'a pseudo-header field that is not defined here' },
  PSEUDO_DOUBLE: { code: PROTOCOL_ERROR, text: 'a pseudo-header field came twice' },
  PSEUDO_MISSING: { code: PROTOCOL_ERROR, text: 'a pseudo-header field is missing or empty' },
  PSEUDO_IN_TRAILERS: { code: PROTOCOL_ERROR, text: 'a pseudo-header field in trailers' },
  PATH: { code: PROTOCOL_ERROR, text: ':path does not begin with /' },
  METHOD: { code: PROTOCOL_ERROR, text: ':method or :scheme is not one, or is CONNECT' },
  AUTHORITY: { code: PROTOCOL_ERROR, text: ':authority has userinfo, or host differs or came twice' },
  STATUS: { code: PROTOCOL_ERROR, text: ':status is not three digits, or 101' },
  INFORMATIONAL_END: { code: PROTOCOL_ERROR, text: 'a 1xx response ended its stream' },
  CONTENT_LENGTH: { code: PROTOCOL_ERROR, text: 'content-length does not match the DATA' },
  TRAILERS_OPEN: { code: PROTOCOL_ERROR, text: 'trailers without END_STREAM' },
  DATA_EARLY: { code: PROTOCOL_ERROR, text: 'DATA before HEADERS' },
  SELF_DEPENDENCY: { code: PROTOCOL_ERROR, text: 'a stream depends on itself' },
  PRIORITY_LENGTH: { code: FRAME_SIZE_ERROR, text: 'PRIORITY is not 5 octets long' },
  WINDOW_ZERO: { code: PROTOCOL_ERROR, text: 'WINDOW_UPDATE of a stream by 0' },
  WINDOW_OVERFLOW: { code: FLOW_CONTROL_ERROR, text: 'the window of a stream went above 2^31-1' },
  WINDOW_OVERRUN: { code: FLOW_CONTROL_ERROR, text: 'more DATA than the window of the stream allows' },
  CLOSED: { code: STREAM_CLOSED, text: 'a frame on a stream that its sender had ended' },
  HEADERS_LARGE: { code: ENHANCE_YOUR_CALM, text: 'the header list is too large' },
  TOO_MANY: { code: REFUSED_STREAM, text: 'more streams than SETTINGS_MAX_CONCURRENT_STREAMS' },
} as const satisfies Record<string, Fault>;
export type StreamFault = keyof typeof STREAM_FAULTS;

/** Ends a connection: what the peer did, and the code of the GOAWAY that tells it so. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly fault: ConnectionFault;
  readonly code: ErrorCode;

  /** @param detail what exactly was seen, added to the fault's own text */
  constructor(fault: ConnectionFault, detail = '', options?: ErrorOptions) {
    const { code, text } = CONNECTION_FAULTS[fault];
    super(detail === '' ? text : `${text}: ${detail}`, options);
    this.fault = fault;
    this.code = code;
  }
}

/** How often each fault was seen, since the start. Shared by all connections of a process. */
export class FaultCounts {
  readonly connection = zeros(CONNECTION_FAULTS);
  readonly stream = zeros(STREAM_FAULTS);
}

function zeros<T extends object>(faults: T): Record<keyof T, number> {
  return Object.fromEntries(Object.keys(faults).map(token => [token, 0])) as Record<keyof T, number>;
}
