import * as k from '../kinds.ts';
import { brokers, sasl, tls, topic } from './state-kafka.ts';

/** Where the write-ahead log is kept. */
const LOGS = {
  memory: 'lost at the end of the process',
  file: 'files of `directory`, for one instance',
  kafka: 'a topic that all instances share',
} as const;

const TIB = 2 ** 40;

export const state = k.section('The write-ahead log of membership and states.', {
  log: k
    .oneOf(
      {
        about:
          'Where it is kept: `memory` is lost at the end of the process, `file` outlives it, `kafka` is a topic that several instances share. See the guide on state.',
      },
      LOGS,
    )
    .prefault('memory'),
  directory: k
    .text(
      { about: 'Folder of the files that this instance keeps; one process uses it at a time.' },
      { kind: 'path', longest: 4_096, expected: 'the path of a folder' },
    )
    .prefault('./heapmesh-state'),
  brokers,
  topic,
  tls,
  sasl,
  history: k
    .size(
      {
        about:
          'How much of the log is kept behind its newest snapshot, for `heapmesh log explain`. Starting up does not read it.',
      },
      { leastOctets: 0, mostOctets: TIB, says: 'up to 1TiB' },
    )
    .prefault('256MiB'),
  decisions: k.section('Picks that are noted in the log with all that they were made from.', {
    sampleRatio: k
      .number(
        {
          about:
            'Share of picks that are noted, so that `heapmesh log explain` is exact for them; 0.001 is one in a thousand. Each takes about 500 octets.',
        },
        { least: 0, most: 1 },
      )
      .prefault(0),
    traced: k
      .flag({
        about:
          'Whether each pick of a call whose trace is recorded here is noted too, so that `heapmesh log explain --trace` is exact for it.',
      })
      .prefault(false),
  }),
});
