/** Where more servers come from. */

/** One more server is wanted. */
export interface Want {
  /** The pool's service. */
  readonly service: string;
  /** What it answers: an instance that finds it answered in the log does nothing. */
  readonly failure: string;
  readonly because: 'failure' | 'load';
  /** The server that fails, or is over the threshold most, and its zone. */
  readonly server: string;
  readonly zone: string;
  /** In words for a person. */
  readonly cause: string;
}

export type Provided =
  | { readonly kind: 'added'; readonly id: string; readonly how: string }
  /** Another instance was first. */
  | { readonly kind: 'answered'; readonly by: string }
  /** There is none, or it did not come. */
  | { readonly kind: 'none'; readonly why: string };

export interface Provider {
  readonly name: string;
  /** How long a server may take to come after its answer stands in the log, ms. */
  readonly patienceMs: number;
  /** Brings one more server; resolves with what came of it, and never rejects. */
  add(want: Want): Promise<Provided>;
  /** A server that was added has drained and is away. */
  drained(id: string, cause: string): void;
  close(): Promise<void>;
}
