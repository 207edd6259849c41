/** The health rules of the configuration, for all pools and for one. */
import type { CheckRules } from '../core/check-rules.ts';
import type { HealthRules } from '../core/detector.ts';
import type { OutlierSettings } from '../core/outlier.ts';
import type { Parsed } from './schema.ts';

export interface HealthRulesConfig extends CheckRules, HealthRules {}

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
  const { interval, baseEjection, maxEjection, leftAlone, ...same } = outliers;
  return {
    ...same,
    intervalMs: interval,
    baseEjectionMs: baseEjection,
    maxEjectionMs: maxEjection,
    leftAloneMs: leftAlone,
  };
}
