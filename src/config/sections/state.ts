import * as k from '../kinds.ts';
import { brokers, sasl, tls, topic } from './state-kafka.ts';

/** Where the write-ahead log is kept. */
const LOGS = {
  memory: 'lost at the end of the process',
  kafka: 'a topic that all instances share',
} as const;

export const state = k.section('The write-ahead log of membership and states.', {
  log: k
    .oneOf(
      {
        about:
          'Where it is kept; `memory` is lost at the end of the process, `kafka` is a topic that several instances share.',
      },
      LOGS,
      ['file'],
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
});
