/** Tells of calls and attempts. */
import { PickFailure } from '../../../core/core.ts';
import { STATUS_NAMES } from '../../../grpc/status.ts';
import type { TransparentProxy } from '../../../proxy/proxy.ts';
import type { Pair } from '../attempts.ts';
import type { CallCounter, Traffic } from '../call-counter.ts';
import { CALLS } from '../catalog/calls.ts';
import { each } from '../each.ts';
import type { Lines } from '../lines.ts';
import type { Registry } from '../registry.ts';
import { CODES } from '../rows.ts';

const CODE_LABELS = STATUS_NAMES.map(name => `,code="${name}"`);

export function tellCalls(registry: Registry, calls: CallCounter, proxy: TransparentProxy): void {
  const { methods, attempts } = calls;
  const { rows, poolRows } = attempts;
  let carried: Traffic = calls.carried(proxy).pairs;
  registry.onStart(() => {
    carried = calls.carried(proxy).pairs;
  });
  registry.add(CALLS.calls, out =>
    each(methods.rows, ({ labels, row }) => codes(out, labels, methods.codes, row)),
  );
  registry.add(CALLS.duration, out =>
    each(methods.durationRows, ({ labels, row }) =>
      out.durations(labels, methods.durations, row, calls.exemplars.of(row)),
    ),
  );
  registry.add(CALLS.inFlight, out =>
    each(attempts.pools(), ({ labels, row }) => out.sample(labels, poolRows.inFlight[row] as number)),
  );
  registry.add(CALLS.poolless, out => out.add(calls.without));
  for (const [family, counts] of [
    [CALLS.refused, attempts.refused],
    [CALLS.retries, attempts.retries],
    [CALLS.moves, attempts.moves],
  ] as const) {
    registry.add(family, out =>
      each(attempts.pools(), ({ labels, row }) => out.sample(labels, counts[row] as number)),
    );
  }

  const pairs = (tell: (out: Lines, pair: Pair) => void) => (out: Lines) =>
    each(attempts.pairs(), pair => tell(out, pair));
  registry.add(
    CALLS.attempts,
    pairs((out, { labels, row }) => codes(out, labels, rows.codes, row)),
  );
  registry.add(
    CALLS.attemptDuration,
    pairs((out, { labels, row }) => out.durations(labels, rows.latencies, row)),
  );
  registry.add(
    CALLS.attemptsInFlight,
    pairs((out, { labels, row }) => out.sample(labels, rows.inFlight[row] as number)),
  );
  for (const [family, column] of [
    [CALLS.sentBytes, 'sentBytes'],
    [CALLS.receivedBytes, 'receivedBytes'],
    [CALLS.sentMessages, 'sentMessages'],
    [CALLS.receivedMessages, 'receivedMessages'],
  ] as const) {
    // A pair that came after the start of the rendering has carried nothing that is known.
    registry.add(
      family,
      pairs((out, { labels, row }) => out.sample(labels, carried[column][row] ?? 0)),
    );
  }
  registry.add(CALLS.wait, out => out.durations('', calls.waits, 0));
  registry.add(CALLS.noLease, out => {
    for (const [name, value] of Object.entries(PickFailure)) {
      out.add(proxy.counters.noLease[-value] as number, name.toLowerCase());
    }
  });
}

/** Counts by code, of those that there were. */
function codes(out: Lines, labels: string, counts: Float64Array, row: number): void {
  for (let code = 0; code < CODES; code++) {
    const count = counts[row * CODES + code] as number;
    if (count > 0) out.sample(labels + (CODE_LABELS[code] as string), count);
  }
}
