/** Lists of entries as several instances make them, with servers that come again and again. */
import fc, { type Arbitrary } from 'fast-check';
import { SOURCES } from '../../src/core/core.ts';
import type { Body, Entry, Precondition } from '../../src/core/entries.ts';
import { server } from './registry-support.ts';

/** With the prototype of any object, as `deepEqual` wants it. */
const record = <T>(model: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as Arbitrary<T>;

const id = fc.constantFrom('a', 'b', 'c', 'd');
const source = fc.constantFrom(...SOURCES);
const spec = fc
  .record({ id, port: fc.constantFrom(1, 2), weight: fc.constantFrom(1, 2.5), standby: fc.boolean() })
  .map(({ id, port, weight, standby }) =>
    server(id, { address: `${id}.test:${port}`, weight, standby, labels: { port: `${port}` } }),
  );
const failure = fc.constantFrom('f', 'g');
const kinds = <K extends string>(...all: K[]) => fc.constantFrom(...all);

const body: fc.Arbitrary<Body> = fc.oneof(
  { weight: 6, arbitrary: record({ kind: kinds('claim'), source, spec }) },
  record({ kind: kinds('replace'), source, specs: fc.array(spec, { maxLength: 3 }) }),
  {
    weight: 3,
    arbitrary: record({ kind: kinds('unclaim'), source, id, how: kinds('left', 'lost') }),
  },
  { weight: 3, arbitrary: record({ kind: kinds('forget', 'remove', 'undrain', 'drained'), id }) },
  record({
    kind: kinds('drain'),
    id,
    by: kinds('operator', 'backend', 'scaling'),
    timeoutMs: fc.constantFrom(0, 1000),
    afterwards: kinds('stay', 'remove', 'standby'),
  }),
  record({ kind: kinds('weight'), id, weight: fc.constantFrom(0, 5) }),
  record({ kind: kinds('activate'), id, failure }),
  record({ kind: kinds('join'), control: kinds('c:1', 'c:2'), proxy: kinds('p:1') }),
  record({ kind: kinds('leave') }),
  record({ kind: kinds('retire'), instance: kinds('lb-1', 'lb-2'), epoch: fc.constantFrom(1, 2) }),
  {
    weight: 4,
    arbitrary: record({
      kind: kinds('observe'),
      id,
      observation: record({ phase: kinds('warming', 'active', 'ejected'), healthy: fc.boolean() }),
    }),
  },
  record({
    kind: kinds('unknown'),
    name: fc.constant('later'),
    maySkip: fc.boolean(),
    raw: fc.constant(null),
  }),
);

const precondition: fc.Arbitrary<Precondition> = fc.oneof(
  record({ kind: kinds('version'), id, version: fc.nat(4) }),
  record({ kind: kinds('address'), id, address: fc.constantFrom('a.test:1', 'b.test:2') }),
  record({ kind: kinds('standby'), id }),
  record({ kind: kinds('unanswered'), failure }),
);

export const history: fc.Arbitrary<Entry[]> = fc
  .array(
    record({
      origin: kinds('lb-1', 'lb-2'),
      body,
      preconditions: fc.oneof(
        { weight: 4, arbitrary: fc.constant([]) },
        fc.array(precondition, { maxLength: 2 }),
      ),
    }),
    { maxLength: 60, size: 'max' },
  )
  .map(all =>
    all.map(({ origin, body, preconditions }, i) => ({
      position: i + 1,
      proposal: { origin, epoch: 1, n: i + 1, time: 1000 * i, cause: `cause ${i}`, preconditions, body },
    })),
  );
