/** What became of a proposal once it was applied. */
export interface Verdict {
  /** False: a recorded no-op. */
  readonly applied: boolean;
  /** Why not, or what of it was left out; empty where all of it was done. */
  readonly why: string;
  /** `may-skip` and `must-know` are kinds that this version does not know. */
  readonly understood: 'yes' | 'may-skip' | 'must-know';
}

const DONE: Verdict = { applied: true, why: '', understood: 'yes' };

/** Done, but for what `why` tells. */
export function done(why = ''): Verdict {
  return why === '' ? DONE : { applied: true, why, understood: 'yes' };
}

export function refused(why: string): Verdict {
  return { applied: false, why, understood: 'yes' };
}

/** What the fold's parts answer: the reason for a refusal, or nothing. */
export function verdictOf(refusal: string): Verdict {
  return refusal === '' ? DONE : refused(refusal);
}

export function notUnderstood(what: string, maySkip: boolean): Verdict {
  return {
    applied: false,
    why: `this version does not know ${what}${maySkip ? '; it may be skipped' : ': update this instance'}`,
    understood: maySkip ? 'may-skip' : 'must-know',
  };
}

export function noServer(id: string): string {
  return `there is no server ${id}`;
}

export function answeredBy(failure: string, id: string): string {
  return `the failure ${failure} was answered by ${id}`;
}
