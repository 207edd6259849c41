/** Kinds of value that several sections use. */
import { CONTROL } from '../../core/limits.ts';
import * as k from '../kinds.ts';

export const tls = k.reserved({ about: 'TLS for this address.' });

export const ID = {
  kind: 'name',
  longest: CONTROL.idBytes,
  pattern: /^[\x21-\x7e]+$/,
  expected: `1 to ${CONTROL.idBytes} printable ASCII characters without spaces`,
};

export const ZONE = {
  kind: 'name',
  longest: CONTROL.zoneBytes,
  pattern: /^[\x21-\x7e]*$/,
  expected: `at most ${CONTROL.zoneBytes} printable ASCII characters without spaces`,
};

export const UP_TO_HOUR = { leastMs: 1, mostMs: 3_600_000, says: 'from 1ms to 1h' };

export const AN_AGE = { leastMs: 1_000, mostMs: 86_400_000, says: 'from 1s to 24h' };

export const UP_TO_DAY = { leastMs: 0, mostMs: 86_400_000, says: 'up to 24h' };
