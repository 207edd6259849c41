/**
 * Reads a `PickServerRequest`. The generated decoder takes a large part of what a pick costs beyond
 * the call itself, so the fields that nearly every request has are read here, and a request with
 * anything unusual in it is left to the generated one.
 */
import { PickServerRequest } from '../gen/heapmesh/v1/lookaside.ts';

const SERVICE = 0x0a;
const METHOD = 0x12;
const HASH_KEY = 0x22;
const ZONE = 0x2a;
/** Nothing is ever put into it: requests without `exclude_ids` share it. */
const NO_IDS: string[] = [];

export function decodePick(bytes: Uint8Array): PickServerRequest {
  return (Buffer.isBuffer(bytes) ? decodeCommon(bytes) : undefined) ?? PickServerRequest.decode(bytes);
}

/** Undefined where a field is unknown, repeated or longer than 127 bytes, or the message is cut off. */
function decodeCommon(bytes: Buffer): PickServerRequest | undefined {
  const request = { service: '', method: '', excludeIds: NO_IDS, hashKey: '', zone: '' };
  const end = bytes.length;
  let last = 0;
  for (let at = 0; at < end; ) {
    const tag = bytes[at] as number;
    const length = at + 1 < end ? (bytes[at + 1] as number) : 0x80;
    const from = at + 2;
    at = from + length;
    if (tag <= last || length >= 0x80 || at > end) return undefined;
    last = tag;
    switch (tag) {
      case SERVICE:
        request.service = bytes.toString('utf8', from, at);
        break;
      case METHOD:
        request.method = bytes.toString('utf8', from, at);
        break;
      case HASH_KEY:
        request.hashKey = bytes.toString('utf8', from, at);
        break;
      case ZONE:
        request.zone = bytes.toString('utf8', from, at);
        break;
      default:
        return undefined;
    }
  }
  return request;
}
