/** How a server's health is asked for: what the configuration says and `health/` does. */
export interface CheckRules {
  readonly check: 'grpc' | 'watch' | 'tcp' | 'none';
  readonly intervalMs: number;
  /** Time to the next check while the last ones disagree with what is known. */
  readonly fastIntervalMs: number;
  /** How far an interval is stretched or shortened at random, as a share of it. */
  readonly jitter: number;
  readonly timeoutMs: number;
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
  /** Name that a check asks for; empty is the whole server. */
  readonly service: string;
  /** Load is asked for where the server does not stream it by itself. */
  readonly orca: boolean;
}
