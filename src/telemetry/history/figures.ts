/** The last points of a row, as rules ask of them. */
import type { Figures } from '../findings/evidence.ts';
import type { Ring } from './ring.ts';

/** Of one question at a time. */
const scratch = new Float32Array(64);

export class RingFigures<Name extends string> implements Figures<Name> {
  private readonly ring: Ring<Name>;
  private readonly key: string;
  private readonly points: number;

  constructor(ring: Ring<Name>, key: string, points: number) {
    this.ring = ring;
    this.key = key;
    this.points = Math.min(points, scratch.length);
  }

  known(name: Name): number {
    return this.read(name);
  }

  mean(name: Name): number {
    const count = this.read(name);
    let sum = 0;
    for (let n = 0; n < count; n++) sum += scratch[n] as number;
    return count === 0 ? Number.NaN : sum / count;
  }

  max(name: Name): number {
    const count = this.read(name);
    let most = Number.NaN;
    for (let n = 0; n < count; n++) if (!(most >= (scratch[n] as number))) most = scratch[n] as number;
    return most;
  }

  last(name: Name): number {
    return this.ring.last(this.key, name);
  }

  share(name: Name, holds: (value: number) => boolean): number {
    const count = this.read(name);
    let held = 0;
    for (let n = 0; n < count; n++) if (holds(scratch[n] as number)) held++;
    return count === 0 ? 0 : held / count;
  }

  private read(name: Name): number {
    return this.ring.recent(this.key, name, this.points, scratch);
  }
}
