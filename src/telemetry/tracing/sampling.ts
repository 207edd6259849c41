/** Which calls are traced: decided first, and by as little as possible. */

export interface SamplingSettings {
  /** What the caller decided holds, where it decided anything. */
  readonly parentBased: boolean;
  /** Share of the other calls, 0 to 1. */
  readonly ratio: number;
}

/** The ids of traces below 2^56 are split at the ratio (OpenTelemetry, "TraceIdRatioBased"): by the last 14 digits. */
const RANDOM_DIGITS = 14;
const RANDOM_SPACE = 2 ** 56;

export class Sampling {
  private parentBased: boolean;
  private ratio: number;
  private readonly random: () => number;

  constructor(settings: SamplingSettings, random: () => number) {
    this.parentBased = settings.parentBased;
    this.ratio = settings.ratio;
    this.random = random;
  }

  configure({ parentBased, ratio }: SamplingSettings): void {
    this.parentBased = parentBased;
    this.ratio = ratio;
  }

  /** False: the call is not traced. @param flag what the caller decided: 1 it is, 0 it is not, −1 nothing */
  wants(flag: 0 | 1 | -1): boolean {
    if (flag < 0) return this.random() < this.ratio;
    return this.parentBased ? flag === 1 : this.ratio > 0;
  }

  /** For calls that `wants` said yes to, of a caller with a trace: whether that one is among those that are traced. */
  keeps(traceId: string): boolean {
    if (this.parentBased || this.ratio >= 1) return true;
    return Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) >= (1 - this.ratio) * RANDOM_SPACE;
  }
}
