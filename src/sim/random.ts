/**
 * Numbers from a seed: the same seed gives the same run on every machine. The generator is sfc32 of
 * PractRand (Doty-Humphrey), 128 bits of state, in 32-bit integers.
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  /** @param stream tells several generators of one seed apart: one for arrivals, one for the policy ... */
  constructor(seed: number, stream: number) {
    this.a = Math.imul(seed, 0x9e3779b1) | 0;
    this.b = Math.imul(seed ^ 0x5bd1e995, 0x85ebca6b) | 0;
    this.c = Math.imul(stream + 1, 0xc2b2ae35) | 0;
    this.d = 1;
    for (let i = 0; i < 16; i++) this.next();
  }

  /** Uniform in [0, 1). */
  next(): number {
    const t = (((this.a + this.b) | 0) + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + t) | 0;
    return (t >>> 0) / 4294967296;
  }

  /** A whole number below `n`, uniform. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** Exponential, mean 1. */
  exponential(): number {
    return -Math.log(1 - this.next());
  }

  /** Normal, mean 0, variance 1 (Box and Muller; one of the pair). */
  normal(): number {
    return Math.sqrt(2 * this.exponential()) * Math.cos(2 * Math.PI * this.next());
  }

  /** Log-normal, mean 1; `sigma` is that of the logarithm. */
  logNormal(sigma: number): number {
    return Math.exp(sigma * this.normal() - (sigma * sigma) / 2);
  }

  /** Pareto between 1 and `range`, scaled to mean 1. */
  boundedPareto(alpha: number, range: number): number {
    const low = (1 - range ** -alpha) / ((alpha / (alpha - 1)) * (1 - range ** (1 - alpha)));
    return low * (1 - this.next() * (1 - range ** -alpha)) ** (-1 / alpha);
  }
}
