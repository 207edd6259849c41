/** Traces of the demo's callers and servers: where the variables of OpenTelemetry say where to. */
import { hostname } from 'node:os';
import { systemClock } from '../../control/clock.ts';
import type { CallTracer } from '../../grpc/call-tracer.ts';
import { startTracer } from '../../telemetry/telemetry.ts';
import { packageVersion } from '../commands/version.ts';

/** @param service what the process is called in traces @param instance which of its kind */
export async function demoTracer(service: string, instance: string): Promise<CallTracer | undefined> {
  const started = await startTracer({
    config: { alwaysErrors: false, streamSegmentMs: 60_000 },
    env: process.env,
    identity: {
      instance,
      zone: '',
      version: packageVersion(),
      hostname: hostname(),
      pid: process.pid,
      service,
    },
    now: systemClock.now,
    wall: systemClock.wall,
    random: Math.random,
  });
  return started?.tracer;
}
