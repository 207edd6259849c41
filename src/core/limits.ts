/**
 * Every limit of the project: its name, its default, its reason. One object per area, one file below
 * `limits/` for areas that belong together.
 */
export * from './limits/balancer.ts';
export * from './limits/control.ts';
export * from './limits/health.ts';
export * from './limits/http2.ts';
export * from './limits/instances.ts';
export * from './limits/kafka.ts';
export * from './limits/logs.ts';
export * from './limits/process.ts';
export * from './limits/proxy.ts';
export * from './limits/queue.ts';
export * from './limits/scaling.ts';
export * from './limits/sdk.ts';
export * from './limits/state.ts';
export * from './limits/telemetry.ts';
export * from './limits/tracing.ts';
export * from './limits/transport.ts';
