/**
 * The coding of `grpc-message`: UTF-8, percent-encoded.
 *
 *     Status-Message       → "grpc-message" Percent-Encoded
 *     Percent-Encoded      → 1*(Percent-Byte-Unencoded / Percent-Byte-Encoded)
 *     Percent-Byte-Unencoded → 1*( %x20-%x24 / %x26-%x7E )   ; space and VCHAR, except %
 *     Percent-Byte-Encoded → "%" 2HEXDIGIT
 *
 * (grpc `doc/PROTOCOL-HTTP2.md`, "Responses".)
 */

const HEX = '0123456789ABCDEF';

/** Encodes a message for the wire. Lone surrogates become U+FFFD, as UTF-8 has no form for them. */
export function encodeMessage(text: string): string {
  // RFC 9113 8.2.1: a field value MUST NOT start or end with whitespace; so spaces there are encoded, which
  // every decoder takes although the grammar does not ask for it.
  if (/^(?:[!-$&-~](?:[ -$&-~]*[!-$&-~])?)?$/.test(text)) return text;
  const bytes = Buffer.from(text, 'utf8');
  const last = bytes.length - 1;
  let out = '';
  for (let i = 0; i <= last; i++) {
    const byte = bytes[i] as number;
    const plain = byte > 0x20 && byte <= 0x7e && byte !== 0x25;
    if (plain || (byte === 0x20 && i !== 0 && i !== last)) out += String.fromCharCode(byte);
    else out += `%${HEX[byte >> 4]}${HEX[byte & 15]}`;
  }
  return out;
}

/**
 * Decodes a message from the wire.
 *
 * "When decoding invalid values, implementations MUST NOT error or throw away the message": a `%` without two
 * hex digits stays as it is, bytes that are not UTF-8 become U+FFFD.
 */
export function decodeMessage(text: string): string {
  if (!text.includes('%')) return text;
  const source = Buffer.from(text, 'latin1');
  const out = Buffer.allocUnsafe(source.length);
  let length = 0;
  for (let i = 0; i < source.length; i++) {
    const byte = source[i] as number;
    const high = byte === 0x25 ? hexDigit(source[i + 1]) : -1;
    const low = high < 0 ? -1 : hexDigit(source[i + 2]);
    if (low < 0) {
      out[length++] = byte;
    } else {
      out[length++] = (high << 4) | low;
      i += 2;
    }
  }
  return out.toString('utf8', 0, length);
}

function hexDigit(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
