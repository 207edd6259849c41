/** The health rules of the configuration, for all pools and for one. */
import type { OutlierSettings } from '../core/outlier.ts';
import type { Parsed } from './schema.ts';

export interface HealthRulesConfig {
  readonly check: 'grpc' | 'watch' | 'tcp' | 'none';
  readonly intervalMs: number;
  readonly fastIntervalMs: number;
  /** Share of an interval. */
  readonly jitter: number;
  readonly timeoutMs: number;
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
  /** Name that a check asks for; empty is the whole backend. */
  readonly service: string;
  readonly orca: boolean;
  /** Share of healthy backends; 0 is never. */
  readonly panicBelow: number;
  readonly outliers: OutlierSettings;
}

type ParsedRules = Omit<Parsed['health'], 'reportGrace' | 'forgetAfter'>;
type ParsedPoolRules = NonNullable<Parsed['pools'][number]['health']>;

export function resolveRules(rules: ParsedRules): HealthRulesConfig {
  return {
    check: rules.check,
    intervalMs: rules.interval,
    fastIntervalMs: rules.fastInterval,
    jitter: rules.jitter,
    timeoutMs: rules.timeout,
    unhealthyAfter: rules.unhealthyAfter,
    healthyAfter: rules.healthyAfter,
    service: rules.service,
    orca: rules.orca,
    panicBelow: rules.panicBelow,
    outliers: resolveOutliers(rules.outliers),
  };
}

/** All rules of a pool: its own, then those of `health`. */
export function resolvePoolRules(own: ParsedPoolRules, all: ParsedRules): HealthRulesConfig {
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  return resolveRules({ ...all, ...given });
}

function resolveOutliers(outliers: ParsedRules['outliers']): OutlierSettings {
  const { interval, baseEjection, maxEjection, ...same } = outliers;
  return { ...same, intervalMs: interval, baseEjectionMs: baseEjection, maxEjectionMs: maxEjection };
}
