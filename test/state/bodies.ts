/** Proposals of every shape, for tests of what is written and read. */
import fc, { type Arbitrary } from 'fast-check';
import { type ServerSpec, SOURCES } from '../../src/core/core.ts';
import type { Body, Precondition, Proposal } from '../../src/core/entries.ts';

/** With the prototype of any object, as `deepEqual` wants it. */
const record = <T>(model: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as Arbitrary<T>;

/** Text with a UTF-8 form, empty, long and in other alphabets too. */
export const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ maxLength: 12 }) },
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.constantFrom('', '__proto__', 'ä', '😀', 'x'.repeat(300)),
);
const number = fc.oneof(fc.nat(300), fc.double(), fc.constantFrom(0, -0, 254, 255, Number.NaN, 1e300));
const id = text;
const source = fc.constantFrom(...SOURCES);
const failure = text;

export const spec: fc.Arbitrary<ServerSpec> = record({
  id,
  address: text,
  services: fc.array(text, { maxLength: 3 }),
  weight: number,
  zone: text,
  labels: fc
    .array(fc.tuple(text, text), { maxLength: 3 })
    .map(pairs => Object.fromEntries(pairs) as Record<string, string>),
  maxConcurrency: number,
  standby: fc.boolean(),
});

const kinds = <K extends string>(...all: K[]) => fc.constantFrom(...all);

export const body: fc.Arbitrary<Body> = fc.oneof(
  record({ kind: kinds('claim'), source, spec }),
  record({ kind: kinds('replace'), source, specs: fc.array(spec, { maxLength: 3 }) }),
  record({ kind: kinds('unclaim'), source, id, how: kinds('left', 'lost') }),
  record({ kind: kinds('forget', 'remove', 'undrain', 'drained'), id }),
  record({
    kind: kinds('drain'),
    id,
    by: kinds('operator', 'backend', 'scaling'),
    timeoutMs: number,
    afterwards: kinds('stay', 'remove', 'standby'),
  }),
  record({ kind: kinds('weight'), id, weight: number }),
  record({ kind: kinds('activate'), id }),
  record({ kind: kinds('join'), control: text, proxy: text }),
  record({ kind: kinds('leave') }),
  record({ kind: kinds('retire'), instance: text, epoch: fc.maxSafeNat() }),
  record({ kind: kinds('policy'), service: text, policy: text }),
  record({ kind: kinds('activate'), id, failure }),
  record({ kind: kinds('answer'), id, failure }),
  record({
    kind: kinds('observe'),
    id,
    observation: fc.oneof(
      record({ phase: kinds('warming', 'active', 'ejected'), healthy: fc.boolean() }),
      record({
        phase: kinds('warming', 'active', 'ejected'),
        healthy: fc.boolean(),
        doubtful: fc.constant(true),
      }),
    ),
  }),
);

const precondition: fc.Arbitrary<Precondition> = fc.oneof(
  record({ kind: kinds('version'), id, version: fc.maxSafeNat() }),
  record({ kind: kinds('address'), id, address: text }),
  record({ kind: kinds('standby'), id }),
  record({ kind: kinds('unanswered'), failure }),
);

export const proposal: fc.Arbitrary<Proposal> = fc
  .record({
    origin: text,
    epoch: fc.maxSafeNat(),
    n: fc.maxSafeNat(),
    time: fc.double(),
    cause: text,
    preconditions: fc.array(precondition, { maxLength: 2 }),
    body,
  })
  .map(({ preconditions, ...rest }) => (preconditions.length > 0 ? { ...rest, preconditions } : rest));
