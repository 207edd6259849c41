import * as k from '../kinds.ts';

/** Where the write-ahead log is kept. */
const LOGS = { memory: 'lost at the end of the process' } as const;

export const state = k.section('The write-ahead log of membership and states.', {
  log: k
    .oneOf({ about: 'Where it is kept; `memory` is lost at the end of the process.' }, LOGS, [
      'file',
      'kafka',
    ])
    .prefault('memory'),
  directory: k.reserved({ about: 'Where files of the log are.' }),
});
