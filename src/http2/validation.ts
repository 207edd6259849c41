/**
 * What makes a message malformed (RFC 9113 section 8), beyond the octets of names and values, which the decoder
 * has looked at. Nothing malformed is ever passed on.
 *
 * RFC 9113 8.1.1: "Intermediaries that process HTTP requests or responses (i.e., any intermediary not acting as a
 * tunnel) MUST NOT forward a malformed request or response."
 */
import type { StreamFault } from './errors.ts';
import type { HeaderList } from './header-list.ts';
import { NameKind } from './hpack/names.ts';

/** What a header block is, by its place in a stream. */
export const HeadersKind = {
  REQUEST: 1,
  RESPONSE: 2,
  /** A 1xx response before the response. */
  INFORMATIONAL: 4,
  TRAILERS: 8,
} as const;
export type HeadersKind = (typeof HeadersKind)[keyof typeof HeadersKind];

const LAST_PSEUDO = NameKind.UNKNOWN_PSEUDO;

/** Looks at the head of a request, and notes its content-length in the list. */
export function validateRequest(list: HeaderList): StreamFault | undefined {
  const fault = list.fault ?? validateFields(list, true);
  if (fault !== undefined) return fault;
  // RFC 9113 8.3.1: "All HTTP/2 requests MUST include exactly one valid value for the ':method', ':scheme', and
  // ':path' pseudo-header fields, unless they are CONNECT requests". CONNECT is refused: this is no tunnel.
  const method = list.find(NameKind.METHOD);
  const scheme = list.find(NameKind.SCHEME);
  const path = list.find(NameKind.PATH);
  if (method < 0) return 'PSEUDO_MISSING';
  if (list.valueIs(method, 'CONNECT')) return 'METHOD';
  if (scheme < 0 || path < 0) return 'PSEUDO_MISSING';
  if (list.valueBytes(method) === 0 || !isScheme(list, scheme)) return 'METHOD';
  // RFC 9113 8.3.1: "This pseudo-header field MUST NOT be empty for 'http' or 'https' URIs; 'http' or 'https' URIs
  // that do not contain a path component MUST include a value of '/'." A path that does not begin so has slipped
  // past the rules of others (CVE-2026-33186). `*` of OPTIONS means nothing to gRPC.
  if (list.valueBytes(path) === 0) return 'PSEUDO_MISSING';
  if (list.octet(path, 0) !== 0x2f) return 'PATH';
  return validateAuthority(list);
}

/** Looks at the head of a response, final or not, and notes its status and content-length in the list. */
export function validateResponse(list: HeaderList): StreamFault | undefined {
  const fault = list.fault ?? validateFields(list, false);
  if (fault !== undefined) return fault;
  // RFC 9113 8.3.2: the ':status' pseudo-header field "MUST be included in all responses, including interim
  // responses; otherwise, the response is malformed".
  const at = list.find(NameKind.STATUS);
  if (at < 0) return 'PSEUDO_MISSING';
  if (list.valueBytes(at) !== 3) return 'STATUS';
  let status = 0;
  for (let i = 0; i < 3; i++) {
    const digit = list.octet(at, i) - 0x30;
    if (digit < 0 || digit > 9) return 'STATUS';
    status = status * 10 + digit;
  }
  // RFC 9113 8.6: "HTTP/2 removes support for the 101 (Switching Protocols) informational status code".
  if (status < 100 || status === 101) return 'STATUS';
  list.status = status;
  return undefined;
}

/** Looks at trailers, of either side. */
export function validateTrailers(list: HeaderList): StreamFault | undefined {
  if (list.fault !== undefined) return list.fault;
  for (let kind = NameKind.METHOD; kind <= LAST_PSEUDO; kind++) {
    // RFC 9113 8.1: "Trailers MUST NOT include pseudo-header fields".
    if (list.find(kind) >= 0) return 'PSEUDO_IN_TRAILERS';
  }
  if (list.find(NameKind.CONNECTION) >= 0 || list.find(NameKind.TE) >= 0) return 'CONNECTION_FIELD';
  return undefined;
}

function validateFields(list: HeaderList, request: boolean): StreamFault | undefined {
  let seen = 0;
  let regular = false;
  for (let i = 0; i < list.count; i++) {
    const kind = list.name(i).kind;
    if (kind === NameKind.OTHER || kind > NameKind.CONTENT_LENGTH) {
      regular = true;
      continue;
    }
    if (kind <= LAST_PSEUDO) {
      // RFC 9113 8.3: "All pseudo-header fields MUST appear in a field block before all regular field lines"; "The
      // same pseudo-header field name MUST NOT appear more than once in a field block"; "Endpoints MUST treat a
      // request or response that contains undefined or invalid pseudo-header fields as malformed".
      if (regular) return 'PSEUDO_LATE';
      if (kind === LAST_PSEUDO || (kind === NameKind.STATUS) === request) return 'PSEUDO_UNKNOWN';
      if ((seen & (1 << kind)) !== 0) return 'PSEUDO_DOUBLE';
      seen |= 1 << kind;
      continue;
    }
    regular = true;
    // RFC 9113 8.2.2: "Any message containing connection-specific header fields MUST be treated as malformed";
    // TE "MAY be present in an HTTP/2 request; when it is, it MUST NOT contain any value other than 'trailers'".
    if (kind === NameKind.CONNECTION) return 'CONNECTION_FIELD';
    if (kind === NameKind.TE) {
      if (!request) return 'CONNECTION_FIELD';
      if (!list.valueIs(i, 'trailers')) return 'TE';
    }
    if (kind === NameKind.HOST) {
      if ((seen & (1 << kind)) !== 0) return 'AUTHORITY';
      seen |= 1 << kind;
    }
    if (kind === NameKind.CONTENT_LENGTH && !noteContentLength(list, i)) return 'CONTENT_LENGTH';
  }
  return undefined;
}

function isScheme(list: HeaderList, i: number): boolean {
  // RFC 3986 3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
  const length = list.valueBytes(i);
  for (let at = 0; at < length; at++) {
    const octet = list.octet(i, at);
    const letter = (octet | 0x20) >= 0x61 && (octet | 0x20) <= 0x7a;
    const digit = octet >= 0x30 && octet <= 0x39;
    const sign = octet === 0x2b || octet === 0x2d || octet === 0x2e;
    if (!letter && (at === 0 || !(digit || sign))) return false;
  }
  return length > 0;
}

function validateAuthority(list: HeaderList): StreamFault | undefined {
  const authority = list.find(NameKind.AUTHORITY);
  const host = list.find(NameKind.HOST);
  // RFC 9113 8.3.1: "':authority' MUST NOT include the deprecated userinfo subcomponent for 'http' or 'https'
  // schemed URIs".
  if (hasUserinfo(list, authority) || hasUserinfo(list, host)) return 'AUTHORITY';
  // RFC 9113 8.3.1: "A server SHOULD treat a request as malformed if it contains a Host header field that
  // identifies an entity that differs from the entity in the ':authority' pseudo-header field."
  if (authority < 0 || host < 0) return undefined;
  const length = list.valueBytes(authority);
  if (length !== list.valueBytes(host)) return 'AUTHORITY';
  for (let i = 0; i < length; i++) if (list.octet(authority, i) !== list.octet(host, i)) return 'AUTHORITY';
  return undefined;
}

function hasUserinfo(list: HeaderList, i: number): boolean {
  if (i < 0) return false;
  const length = list.valueBytes(i);
  for (let at = 0; at < length; at++) if (list.octet(i, at) === 0x40) return true;
  return false;
}

/** Notes a content-length. @returns false where it is no number or differs from one before */
function noteContentLength(list: HeaderList, i: number): boolean {
  const length = list.valueBytes(i);
  // 15 digits are exact in a double, and more than any stream will carry.
  if (length === 0 || length > 15) return false;
  let value = 0;
  for (let at = 0; at < length; at++) {
    const digit = list.octet(i, at) - 0x30;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  // RFC 9110 8.6 and RFC 9112 6.3: lists of the same value may be taken as that value, different ones may not.
  if (list.contentLength >= 0 && list.contentLength !== value) return false;
  list.contentLength = value;
  return true;
}
