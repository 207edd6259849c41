/**
 * A real balancer whose history is written as often as a test wants: real calls, reports and faults come in, and the
 * rules say what they make of them.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReportLoadRequest, ReportLoadResponse } from '../../../src/gen/heapmesh/v1/load_report.ts';
import { OrcaLoadReport } from '../../../src/gen/xds/data/orca/v3/orca_load_report.ts';
import { type Finding, Findings } from '../../../src/telemetry/findings.ts';
import { Sampler } from '../../../src/telemetry/history/sampler.ts';
import { History } from '../../../src/telemetry/history.ts';
import { Attempts } from '../../../src/telemetry/metrics/attempts.ts';
import { CallCounter } from '../../../src/telemetry/metrics/call-counter.ts';
import { Runtime } from '../../../src/telemetry/runtime.ts';
import { connect, openBidi } from '../../control/support.ts';
import { type Rig, type ServerOf, startRig, until } from '../../proxy/rig.ts';
import { type Arrival, answerOk } from '../../support/h2/upstream.ts';

export const POOL = 'test.v1.Test';

export interface FindingsRig extends Rig {
  /** Writes so many steps, so far apart in ms; `during` runs before each. */
  steps(count: number, everyMs?: number, during?: () => unknown): Promise<void>;
  /** What a rule finds now. */
  found(rule: string): Promise<readonly Finding[]>;
  /** The names of all that is found. */
  names(): Promise<readonly string[]>;
  /** Forgets the points so far: what follows is looked at alone. */
  afresh(): void;
  /** A backend registers by a report stream, and reports when it is told to. */
  reporting(id: string, address: string): Promise<Reporting>;
}

export interface Reporting {
  report(utilization: number, rps?: number): void;
}

export async function startFindings(
  t: TestContext,
  servers: readonly ServerOf[],
  settings: Readonly<Record<string, unknown>> = {},
): Promise<FindingsRig> {
  const rig = await startRig(t, servers, settings);
  const { mesh, proxy, control, log, tracing } = rig;
  const runtime = new Runtime();
  t.after(() => runtime.stop());
  const calls = new CallCounter(new Attempts(mesh), Date.now);
  t.after(proxy.observe(calls));
  const fail = (error: unknown) => assert.fail(String(error));
  const spansDropped = () => {
    const counts = tracing?.counts();
    return counts === undefined ? 0 : counts.dropped + counts.failed;
  };
  let history = new History();
  let sampler: Sampler;
  let findings: Findings;
  const afresh = (): void => {
    history = new History();
    const wall = () => performance.now();
    const seen = { mesh, proxy, control, calls, runtime, log, spansDropped, wall };
    sampler = new Sampler(history, seen, fail);
    findings = new Findings({
      instance: 'lb-1',
      mesh,
      history,
      log: () => ({ kind: log.kind, ...log.status() }),
      wall,
    });
  };
  afresh();
  const report = async (): Promise<readonly Finding[]> => (await findings.report()).findings;
  return {
    ...rig,
    async steps(count, everyMs = 40, during = () => {}) {
      for (let n = 0; n < count; n++) {
        await during();
        await sleep(everyMs);
        await sampler.step();
      }
    },
    found: async rule => (await report()).filter(each => each.rule === rule),
    names: async () => [...new Set((await report()).map(each => each.rule))],
    afresh,
    async reporting(id, address) {
      const client = connect(rig.addresses.control);
      const path = '/heapmesh.v1.LoadReportService/ReportLoad';
      const stream = openBidi(client, path, ReportLoadRequest, ReportLoadResponse);
      stream.on('error', () => {}).resume();
      t.after(() => {
        stream.cancel();
        client.close();
      });
      const registration = { id, address, services: [POOL], weight: 1, zone: '', labels: {} };
      stream.write({
        kind: { $case: 'registration', value: { ...registration, maxConcurrency: 0, standby: false } },
        sequence: 0n,
        window: undefined,
      });
      await until(() => mesh.registry.get(id) !== undefined);
      return {
        report(utilization, rps = 100) {
          const load = OrcaLoadReport.fromPartial({
            applicationUtilization: utilization,
            rpsFractional: rps,
          });
          stream.write({ kind: { $case: 'load', value: load }, sequence: 0n, window: undefined });
        },
      };
    },
  };
}

/** Answers after a while. */
export const after =
  (ms: number) =>
  (arrival: Arrival): void => {
    setTimeout(() => answerOk(arrival), ms);
  };

/** Calls one after the other, so many at a time, until it is ended. */
export function keepCalling(call: () => Promise<unknown>, atOnce: number): () => Promise<void> {
  let going = true;
  const loops = Array.from({ length: atOnce }, async () => {
    while (going) await call();
  });
  return async () => {
    going = false;
    await Promise.all(loops);
  };
}

/** That a rule finds one thing, about this, in these words. */
export function assertFound(
  found: readonly Finding[],
  expected: {
    readonly key: string;
    readonly severity: Finding['severity'];
    readonly detail: RegExp;
    readonly advice: RegExp;
  },
): void {
  assert.equal(found.length, 1, JSON.stringify(found));
  const [one] = found as [Finding];
  assert.deepEqual([one.key, one.severity], [expected.key, expected.severity], one.detail);
  assert.match(one.detail, expected.detail);
  assert.match(one.advice, expected.advice);
  for (const [name, value] of Object.entries(one.figures))
    assert.ok(!Number.isNaN(value), `${name} of ${one.detail}`);
}
