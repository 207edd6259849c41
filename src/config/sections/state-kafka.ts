/** `state:`, the keys of the log on Kafka. */
import { z } from 'zod';
import { KAFKA_LIMITS } from '../../core/limits.ts';
import * as k from '../kinds.ts';

/** Kafka's own rule for names, but for the ending that the second topic has. */
const TOPIC = {
  kind: 'topic name',
  longest: 230,
  pattern: /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/,
  expected: 'letters, digits, dots, underscores and hyphens, at most 230',
};

const PATH = { kind: 'path', longest: 4_096, expected: 'the path of a file' };
const SECRET = { kind: 'string', longest: 4_096, expected: 'a string' };

const MECHANISMS = { plain: '', 'scram-sha-256': '', 'scram-sha-512': '', oauthbearer: '' } as const;

export const brokers = k.list(
  k.address({ about: 'A broker.' }),
  { about: 'Brokers of the cluster, for `kafka`. One that answers names the others.' },
  KAFKA_LIMITS.brokers,
);

export const topic = k
  .text(
    {
      about:
        'Topic of the log, for `kafka`; a second one beside it, with `.snapshots` at its end, holds snapshots.',
    },
    TOPIC,
  )
  .prefault('heapmesh.log');

export const tls = z.optional(
  k.section('TLS to the brokers; `tls: {}` is TLS with the certificates that this machine trusts.', {
    ca: z.optional(k.text({ about: 'File of the certificates that sign those of the brokers, PEM.' }, PATH)),
    cert: z.optional(k.text({ about: 'File of the own certificate, PEM.' }, PATH)),
    key: z.optional(k.text({ about: 'File of its key, PEM.' }, PATH)),
    serverName: z.optional(
      k.text(
        { about: "Name that the brokers' certificates must have. The broker's host where it is left out." },
        { kind: 'name', longest: 255, expected: 'a host name' },
      ),
    ),
  }),
);

export const sasl = z.optional(
  k.section('How this instance proves to the brokers who it is.', {
    mechanism: k.oneOf({ about: 'Required.' }, MECHANISMS),
    username: z.optional(k.text({ about: 'For all but `oauthbearer`.' }, SECRET)),
    passwordFile: z.optional(
      k.text(
        { about: 'File that holds the password, or the token; white space at its end is none of it.' },
        PATH,
      ),
    ),
    password: z.optional(k.text({ about: 'The password or token itself; a file is better kept.' }, SECRET)),
  }),
);
