/**
 * Event-loop utilization: the share of time in which the loop was not waiting for events. It is what
 * a Node.js server runs out of first, since one thread serves all calls, and it counts the time in
 * which that thread was ready but had no CPU, too.
 */
import { performance } from 'node:perf_hooks';
import type { Usage } from './samplers.ts';

/** Of the thread that calls. */
export function eventLoopUsage(): Usage {
  const { active, idle } = performance.eventLoopUtilization();
  return { used: active, available: active + idle };
}
