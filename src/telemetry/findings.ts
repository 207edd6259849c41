/** Bottlenecks, from the last minute of the history: what `heapmesh diagnose` and the console tell. */
import { HISTORY_LIMITS } from '../core/limits.ts';
import type { Mesh } from '../core/mesh.ts';
import type { BackendEvidence, Evidence, LogEvidence, PoolEvidence } from './findings/evidence.ts';
import { type Finding, SEVERITIES } from './findings/finding.ts';
import { RULES } from './findings/rules.ts';
import { RingFigures } from './history/figures.ts';
import type { History } from './history.ts';
import { Slices } from './slices.ts';

export type { Finding } from './findings/finding.ts';

/** Points that rules look at: a minute. */
const POINTS = 30;

export interface FindingsReport {
  /** Wall clock, ms since 1970. */
  readonly time: number;
  readonly instance: string;
  /** What the figures are of, s; less than a minute after the start. */
  readonly seconds: number;
  /** The most severe first. */
  readonly findings: readonly Finding[];
}

export interface FindingsOptions {
  readonly instance: string;
  readonly mesh: Mesh;
  readonly history: History;
  readonly log: () => LogEvidence;
  readonly wall: () => number;
}

export class Findings {
  private readonly options: FindingsOptions;
  private last: Promise<FindingsReport> | undefined;
  private lastStep = -1;

  constructor(options: FindingsOptions) {
    this.options = options;
  }

  /** As the last step of the history shows it: asked more often, it says the same. */
  report(): Promise<FindingsReport> {
    const { history } = this.options;
    if (this.last === undefined || this.lastStep !== history.steps) {
      this.lastStep = history.steps;
      this.last = this.look();
    }
    return this.last;
  }

  private async look(): Promise<FindingsReport> {
    const { instance, wall } = this.options;
    const slices = new Slices(HISTORY_LIMITS.sliceMs);
    const evidence = await this.evidence(slices);
    const findings: Finding[] = [];
    for (const { name: rule, title, look } of RULES) {
      if (slices.isOver) await slices.pause();
      for (const found of look(evidence)) {
        const subject = found.key === '' ? instance : found.key;
        findings.push({ rule, title, subject, ...found, figures: known(found.figures) });
      }
    }
    findings.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
    return { time: wall(), instance, seconds: evidence.seconds, findings };
  }

  private async evidence(slices: Slices): Promise<Evidence> {
    const { mesh, history, log } = this.options;
    const backends = new Map<string, BackendEvidence>();
    for (const { spec, state, cause } of mesh.registry.list()) {
      if (backends.size === HISTORY_LIMITS.backends) break;
      backends.set(spec.id, {
        id: spec.id,
        state,
        cause,
        zone: spec.zone,
        weight: spec.weight,
        maxConcurrency: spec.maxConcurrency,
        isEligible: state === 'ACTIVE' || state === 'WARMING',
        figures: new RingFigures(history.backend, spec.id, POINTS),
      });
    }
    const pools: PoolEvidence[] = [];
    for (const pool of [...mesh.pools()]) {
      if (slices.isOver) await slices.pause();
      const members = [...pool.members()].flatMap(slot => backends.get(mesh.idOf(slot)) ?? []);
      const figures = new RingFigures(history.pool, pool.service, POINTS);
      pools.push({ service: pool.service, policy: pool.policyName, backends: members, figures });
    }
    return {
      pools,
      backends: [...backends.values()],
      instance: new RingFigures(history.instance, '', POINTS),
      log: log(),
      seconds: history.secondsOf(POINTS),
    };
  }
}

/** JSON has no word for what is not known. */
function known(figures: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value)));
}
