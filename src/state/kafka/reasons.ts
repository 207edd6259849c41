/** Failures of the client in words: what a cluster, or TLS, said, and which key of the configuration to look at. */

/** The innermost reasons of a failure, each once. */
export function reasonOf(error: unknown): string {
  const reasons = new Set<string>();
  const visit = (one: unknown, depth: number): void => {
    if (!(one instanceof Error) || depth > 6) return;
    const inner = [...(one instanceof AggregateError ? one.errors : []), one.cause].filter(
      each => each instanceof Error,
    );
    if (inner.length === 0) reasons.add(withHint(saidBy(one)));
    for (const each of inner) visit(each, depth + 1);
  };
  visit(error, 0);
  if (reasons.size === 0) return String(error);
  return [...reasons].slice(0, 3).join('; ').slice(0, 300);
}

/** A broker's own words say more than the name of its code. */
function saidBy(error: Error & { readonly serverErrorMessage?: string | null }): string {
  return error.serverErrorMessage || error.message || error.name;
}

/** What OpenSSL, the client or a broker say, and what a person can do about it. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [/requires TLS/, 'set state.tls'],
  [
    /wrong version number|packet length too long|before secure TLS connection/,
    'that listener speaks no TLS: name another one, or leave state.tls out',
  ],
  [
    /self-signed certificate|unable to (verify|get)/,
    "state.tls.ca must have who signed the broker's certificate",
  ],
  [/altnames/, 'state.tls.serverName is the name that must be in it'],
  [
    /alert (certificate required|unknown ca|bad certificate)/,
    'the broker asks for state.tls.cert and state.tls.key',
  ],
  [/invalid credentials|invalid username|not take the token/i, 'look at state.sasl'],
  [/Connection closed/, 'the broker may ask for state.sasl, or for state.tls.cert and state.tls.key'],
];

function withHint(reason: string): string {
  const hint = HINTS.find(([pattern]) => pattern.test(reason))?.[1];
  // Node's advice is for who starts Node by hand.
  return hint === undefined ? reason : `${reason.replace(/(; if the root CA .*|\.)$/, '')}: ${hint}`;
}
