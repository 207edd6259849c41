/** A bottleneck in plain words: what is so, with numbers, and what to do. */
import type { Evidence } from './evidence.ts';

/** `critical`: calls fail or wait now; `warning`: they are slower, or soon will be; `info`: so that nobody wonders. */
export const SEVERITIES = ['critical', 'warning', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  /** Name of the rule that found it. */
  readonly rule: string;
  /** The same in words. */
  readonly title: string;
  /** What it is about, for people. */
  readonly subject: string;
  readonly severity: Severity;
  /** What it is about: the id of a backend, the service of a pool, or empty for the instance. */
  readonly scope: 'instance' | 'pool' | 'backend';
  readonly key: string;
  /** One or two sentences. */
  readonly detail: string;
  /** What to do about it. */
  readonly advice: string;
  /** The numbers in it, for programs. */
  readonly figures: Readonly<Record<string, number>>;
}

/** What a rule itself says; the rest follows. */
export type Found = Omit<Finding, 'rule' | 'title' | 'subject'>;

/** Pure: the same evidence gives the same findings. */
export interface Rule {
  /** Short, in words with hyphens. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** What it looks for, and from when on. */
  readonly about: string;
  look(evidence: Evidence): readonly Found[];
}
