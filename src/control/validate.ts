/**
 * Requests of the control API, checked before anything is done with them. Every function throws
 * `RpcError` INVALID_ARGUMENT with the violations of all fields, or returns what the request says in
 * the core's terms. Nothing behind these functions sees a NaN, an infinity or an unbounded string.
 */

import { ANY_SERVICE, type LoadSample, type ServerSpec } from '../core/core.ts';
import { formatHostPort } from '../core/host-port.ts';
import { CONTROL } from '../core/limits.ts';
import type { Duration } from '../gen/google/protobuf/duration.ts';
import type { Registration } from '../gen/heapmesh/v1/load_report.ts';
import type { PickServerRequest, WatchServersRequest } from '../gen/heapmesh/v1/lookaside.ts';
import type { OrcaLoadReport } from '../gen/xds/data/orca/v3/orca_load_report.ts';
import { millisOf } from '../grpc/duration.ts';
import { sampleOf } from '../grpc/orca.ts';
import { parseHostPort } from './address.ts';
import type { AllowBackend } from './authorize.ts';
import { Checks } from './checks.ts';

const SERVICE_NAME = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/;
/** Ids and zones are shown on terminals and are metric labels: visible ASCII, which no terminal obeys. */
const VISIBLE = /^[\x21-\x7e]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL_CHARACTERS = /[\x00-\x1f\x7f-\x9f]/;

function checkId(checks: Checks, field: string, id: string): void {
  if (id === '') checks.fail(field, 'an id');
  else if (checks.length(field, id, CONTROL.idBytes) && !VISIBLE.test(id)) {
    checks.fail(field, 'an id of visible ASCII characters without spaces');
  }
}

function checkService(checks: Checks, field: string, name: string): void {
  if (!checks.length(field, name, CONTROL.serviceBytes)) return;
  if (name !== ANY_SERVICE && !SERVICE_NAME.test(name)) {
    checks.fail(field, 'a fully qualified gRPC service name such as echo.v1.EchoService, or *');
  }
}

function checkZone(checks: Checks, field: string, zone: string): void {
  if (checks.length(field, zone, CONTROL.zoneBytes) && !VISIBLE.test(zone)) {
    checks.fail(field, 'a zone of visible ASCII characters without spaces');
  }
}

function checkDuration(
  checks: Checks,
  field: string,
  duration: Duration | undefined,
  mostMs: number,
): number | undefined {
  if (duration === undefined) return undefined;
  const { nanos } = duration;
  const ms = millisOf(duration);
  // duration.proto: nanos are below 10⁹, and of the sign of the seconds.
  if (nanos < 0 || nanos > 999_999_999 || ms < 0 || ms > mostMs) {
    checks.fail(field, `a duration from 0 s to ${mostMs / 1000} s`);
    return undefined;
  }
  return ms;
}

/** A duration that a request gives in one field; `missingMs` where it gives none. */
export function validDuration(
  field: string,
  duration: Duration | undefined,
  mostMs: number,
  missingMs: number,
): number {
  const checks = new Checks();
  const ms = checkDuration(checks, field, duration, mostMs);
  checks.done();
  return ms ?? missingMs;
}

export function validId(field: string, id: string): void {
  const checks = new Checks();
  checkId(checks, field, id);
  checks.done();
}

/** The name of a service in a request; `*` is the pool of those that name no service. */
export function validService(field: string, name: string): void {
  const checks = new Checks();
  checkService(checks, field, name);
  checks.done();
}

/** What somebody says of a reason: shown to people, so control characters are replaced. */
export function validCause(field: string, cause: string, missing: string): string {
  const checks = new Checks();
  checks.length(field, cause, CONTROL.causeBytes);
  checks.done();
  const shown = CONTROL_CHARACTERS.test(cause) ? cause.replace(/[\p{Cc}]/gu, ' ') : cause;
  return shown.trim() === '' ? missing : shown;
}

export function validWeight(field: string, weight: number): void {
  const checks = new Checks();
  if (weight !== 0) checks.range(field, weight, CONTROL.minWeight, CONTROL.maxWeight);
  checks.done();
}

/** The parts of `Registration` and of `Server` that say what a backend is. */
export type Claim = Pick<
  Registration,
  'id' | 'address' | 'services' | 'weight' | 'zone' | 'labels' | 'maxConcurrency' | 'standby'
>;

/**
 * `peerHost` takes the place of an empty or wildcard host; '' where there is none. `prefix` is the
 * path of the message in its request.
 */
export function validClaim(claim: Claim, prefix: string, peerHost: string, allow: AllowBackend): ServerSpec {
  const checks = new Checks();
  const address = checkAddress(checks, `${prefix}.address`, claim.address, peerHost, allow);
  if (claim.id !== '') checkId(checks, `${prefix}.id`, claim.id);
  const services = checkServices(checks, `${prefix}.services`, claim.services);
  if (claim.weight !== 0) {
    checks.range(`${prefix}.weight`, claim.weight, CONTROL.minWeight, CONTROL.maxWeight);
  }
  checkZone(checks, `${prefix}.zone`, claim.zone);
  checkLabels(checks, `${prefix}.labels`, claim.labels);
  checks.range(`${prefix}.max_concurrency`, claim.maxConcurrency, 0, CONTROL.maxConcurrency);
  checks.done();
  return {
    id: claim.id === '' ? address : claim.id,
    address,
    services,
    weight: claim.weight === 0 ? 1 : claim.weight,
    zone: claim.zone,
    labels: claim.labels,
    maxConcurrency: claim.maxConcurrency,
    standby: claim.standby,
  };
}

function checkAddress(
  checks: Checks,
  field: string,
  text: string,
  peerHost: string,
  allow: AllowBackend,
): string {
  if (!checks.length(field, text, CONTROL.addressBytes)) return '';
  const parsed = parseHostPort(text);
  if (typeof parsed === 'string') {
    checks.fail(field, parsed);
    return '';
  }
  const host = parsed.host === '' ? peerHost : parsed.host;
  if (host === '') {
    checks.fail(field, 'a host: this request does not come from the backend itself');
    return '';
  }
  const refusal = allow(host);
  if (refusal !== undefined) checks.fail(field, `an address that may be registered: ${refusal}`);
  return formatHostPort(host, parsed.port);
}

function checkServices(checks: Checks, field: string, services: readonly string[]): readonly string[] {
  if (services.length === 0) checks.fail(field, `at least one service, or ${ANY_SERVICE} for all`);
  if (services.length > CONTROL.servicesPerBackend) {
    checks.fail(field, `at most ${CONTROL.servicesPerBackend} services`);
    return [];
  }
  for (let i = 0; i < services.length; i++) checkService(checks, `${field}[${i}]`, services[i] as string);
  return [...new Set(services)];
}

function checkLabels(checks: Checks, field: string, labels: Readonly<Record<string, string>>): void {
  const keys = Object.keys(labels);
  if (keys.length > CONTROL.labels) {
    checks.fail(field, `at most ${CONTROL.labels} labels`);
    return;
  }
  for (const key of keys) {
    const value = labels[key] as string;
    if (key === '' || !VISIBLE.test(key)) checks.fail(field, 'label names of visible ASCII characters');
    else if (checks.length(field, key, CONTROL.labelKeyBytes)) {
      checks.length(`${field}[${key}]`, value, CONTROL.labelValueBytes);
      if (CONTROL_CHARACTERS.test(value)) checks.fail(`${field}[${key}]`, 'no control characters');
    }
  }
}

/** A load report as numbers. `windowMs` NaN is the time since the last report. */
export function validLoad(report: OrcaLoadReport, window: Duration | undefined, prefix: string): LoadSample {
  const windowMs = window === undefined ? Number.NaN : millisOf(window);
  const sample = sampleOf(report, windowMs);
  // The common report passes by these comparisons alone; NaN and infinities fail them.
  const fine =
    within(report.cpuUtilization, MOST_UTILIZATION) &&
    within(report.applicationUtilization, MOST_UTILIZATION) &&
    within(report.memUtilization, MOST_UTILIZATION) &&
    within(report.rpsFractional, MOST_RATE) &&
    within(sample.rps, MOST_RATE) &&
    within(report.eps, MOST_RATE) &&
    (report.namedMetrics.in_flight === undefined || within(sample.inFlight, MOST_IN_FLIGHT)) &&
    (window === undefined || (windowMs > 0 && windowMs <= MOST_WINDOW_MS)) &&
    fewFinite(report.namedMetrics) &&
    fewFinite(report.utilization) &&
    fewFinite(report.requestCost);
  if (!fine) explainLoad(report, windowMs, prefix);
  return sample;
}

const MOST_UTILIZATION = 1e6;
const MOST_RATE = 1e12;
const MOST_IN_FLIGHT = 0x7fff_ffff;
const MOST_WINDOW_MS = 24 * 3_600_000;

function within(value: number, most: number): boolean {
  return value >= 0 && value <= most;
}

function fewFinite(metrics: Readonly<Record<string, number>>): boolean {
  let count = 0;
  for (const name in metrics) {
    if (!Number.isFinite(metrics[name]) || name.length > CONTROL.metricNameBytes) return false;
    if (++count > CONTROL.metrics) return false;
  }
  return true;
}

function explainLoad(report: OrcaLoadReport, windowMs: number, prefix: string): void {
  const checks = new Checks();
  checks.range(`${prefix}.cpu_utilization`, report.cpuUtilization, 0, MOST_UTILIZATION);
  checks.range(`${prefix}.mem_utilization`, report.memUtilization, 0, MOST_UTILIZATION);
  checks.range(`${prefix}.application_utilization`, report.applicationUtilization, 0, MOST_UTILIZATION);
  checks.range(`${prefix}.rps_fractional`, report.rpsFractional, 0, MOST_RATE);
  checks.range(`${prefix}.rps`, Number(report.rps), 0, MOST_RATE);
  checks.range(`${prefix}.eps`, report.eps, 0, MOST_RATE);
  const inFlight = report.namedMetrics.in_flight;
  if (inFlight !== undefined) {
    checks.range(`${prefix}.named_metrics[in_flight]`, inFlight, 0, MOST_IN_FLIGHT);
  }
  if (!Number.isNaN(windowMs))
    checks.range('window', windowMs / 1000, Number.MIN_VALUE, MOST_WINDOW_MS / 1000);
  for (const [field, metrics] of [
    ['named_metrics', report.namedMetrics],
    ['utilization', report.utilization],
    ['request_cost', report.requestCost],
  ] as const) {
    if (!fewFinite(metrics)) {
      const most = `${CONTROL.metrics} finite numbers with names of at most ${CONTROL.metricNameBytes} characters`;
      checks.fail(`${prefix}.${field}`, most);
    }
  }
  checks.done();
}

/** Checks what does not cost the common request more than a few comparisons. */
export function validPick(request: PickServerRequest): void {
  const { service, excludeIds } = request;
  if (
    service !== '' &&
    service.length * 3 <= CONTROL.serviceBytes &&
    excludeIds.length === 0 &&
    request.hashKey === '' &&
    request.zone === '' &&
    request.method.length * 3 <= CONTROL.methodBytes
  ) {
    // An unknown name, however it is written, is NOT_FOUND.
    return;
  }
  const checks = new Checks();
  if (service === '') checks.fail('service', 'the name of a service');
  checks.length('service', service, CONTROL.serviceBytes);
  checks.length('method', request.method, CONTROL.methodBytes);
  checks.length('hash_key', request.hashKey, CONTROL.hashKeyBytes);
  checkZone(checks, 'zone', request.zone);
  if (excludeIds.length > CONTROL.excludeIds) checks.fail('exclude_ids', `at most ${CONTROL.excludeIds} ids`);
  else for (const id of excludeIds) checks.length('exclude_ids', id, CONTROL.idBytes);
  checks.done();
}

/** Returns how often loads are wanted, ms, within what is allowed. */
export function validWatch(request: WatchServersRequest, missingMs: number): number {
  const checks = new Checks();
  if (request.service === '') checks.fail('service', 'the name of a service');
  else checkService(checks, 'service', request.service);
  checkZone(checks, 'zone', request.zone);
  checks.length('client_id', request.clientId, CONTROL.clientIdBytes);
  const wanted = checkDuration(checks, 'min_interval', request.minInterval, CONTROL.drainMs);
  checks.done();
  const interval = wanted === undefined || wanted === 0 ? missingMs : wanted;
  return Math.min(CONTROL.maxWatchIntervalMs, Math.max(CONTROL.minWatchIntervalMs, interval));
}
