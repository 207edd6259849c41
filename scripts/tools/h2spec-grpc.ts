/**
 * Makes h2spec send gRPC calls. Its cases start from one list of header fields, a plain GET; a gRPC proxy
 * answers such a request by itself, so that nothing of its relay would be tested.
 */
import type { Edit } from './kinds.ts';

const METHOD = 'HeaderField(":method", "GET"),';
/** The last field of the list: cases address the four before by their place. */
const LAST = 'HeaderField(":authority", authority),';

export const GRPC_REQUESTS: Edit = {
  file: 'github.com/summerwind/h2spec/spec/util.go',
  edit(source) {
    for (const text of [METHOD, LAST]) {
      if (source.split(text).length !== 2) throw new Error(`h2spec: spec/util.go has not one ${text}`);
    }
    return source
      .replace(METHOD, METHOD.replace('GET', 'POST'))
      .replace(
        LAST,
        `${LAST} HeaderField("content-type", "application/grpc"), HeaderField("te", "trailers"),`,
      );
  },
};
