import { type BackendEvidence, eligible, median, type PoolEvidence, sum } from '../evidence.ts';
import type { Found, Rule, Severity } from '../finding.ts';
import { list, percent, time } from '../words.ts';

/** Picks of a backend over its fair share. */
const UNEVEN = 1.5;
/** Fewer picks say nothing. */
const LEAST = 50;

interface Share {
  readonly backend: BackendEvidence;
  /** Of the picks, and what it should be by weight and capacity. */
  readonly share: number;
  readonly fair: number;
}

export const unevenSpread: Rule = {
  name: 'uneven-spread',
  title: 'Uneven spread',
  about: `a backend gets ${UNEVEN} times its share of the picks, and why`,
  look: ({ pools, seconds }) => pools.flatMap(pool => look(pool, seconds)),
};

function look(pool: PoolEvidence, seconds: number): readonly Found[] {
  const all = eligible(pool);
  const picks = sum(all.map(({ figures }) => figures.mean('picks')));
  if (all.length < 2 || picks * seconds < LEAST) return [];
  const shares = sharesOf(all, picks);
  const most = shares.reduce((a, b) => (b.share / b.fair > a.share / a.fair ? b : a));
  const ratio = most.share / most.fair;
  if (!(ratio >= UNEVEN)) return [];
  const low = shares.filter(({ share, fair }) => share < fair);
  const { severity, why, advice } = reasonOf(pool, most, low);
  return [
    {
      severity,
      scope: 'pool',
      key: pool.service,
      detail: `Of the picks of ${pool.service}, ${percent(most.share)} go to ${most.backend.id}, whose share is ${percent(most.fair)}: ${why}.`,
      advice,
      figures: { share: most.share, fair: most.fair, ratio, picks },
    },
  ];
}

/** Fair is by weight, and by learned capacity where that is known of all. */
function sharesOf(all: readonly BackendEvidence[], picks: number): Share[] {
  const learned = all.every(({ figures }) => figures.mean('capacity') > 0);
  const worths = all.map(({ weight, figures }) => weight * (learned ? figures.mean('capacity') : 1));
  const worth = sum(worths);
  return all.map((backend, n) => ({
    backend,
    share: backend.figures.mean('picks') / picks,
    fair: (worths[n] as number) / worth,
  }));
}

interface Reason {
  readonly severity: Severity;
  readonly why: string;
  readonly advice: string;
}

const FINE = 'Nothing: that is what balancing by load is for.';

function reasonOf(pool: PoolEvidence, { backend: most }: Share, low: readonly Share[]): Reason {
  const left = low.map(({ backend }) => backend);
  const ids = list(left.map(({ id }) => id));
  if (pool.policy !== 'least-load') {
    const why = `the policy ${pool.policy} does not go by load alone`;
    return { severity: 'info', why, advice: 'Set `policy: least-load` for this pool if it should.' };
  }
  const warming = left.filter(({ state }) => state === 'WARMING').map(({ id }) => id);
  if (warming.length > 0 && most.state !== 'WARMING') {
    return {
      severity: 'info',
      why: `${list(warming)} ${warming.length === 1 ? 'warms' : 'warm'} up`,
      advice: 'Wait: they get their share as they prove themselves.',
    };
  }
  const zones = new Set(left.map(({ zone }) => zone));
  if (most.zone !== '' && !zones.has(most.zone)) {
    return {
      severity: 'warning',
      why: `callers are in zone ${most.zone}, and ${ids} ${left.length === 1 ? 'is' : 'are'} elsewhere (${list([...zones].map(zone => zone || 'no zone'))})`,
      advice: `Add backends in ${most.zone}, or lower \`pools[].zoneFactor\`, which says how much worse the own zone may be.`,
    };
  }
  const failing = left.filter(({ figures }) => figures.mean('failure') > 0.05);
  if (failing.length > 0)
    return { severity: 'info', why: `${list(failing.map(({ id }) => id))} failed calls`, advice: FINE };
  const own = most.figures.mean('p50');
  const others = median(left.map(({ figures }) => figures.mean('p50')));
  if (others > 1.5 * own) {
    return {
      severity: 'info',
      why: `${ids} ${left.length === 1 ? 'takes' : 'take'} ${time(others)}, it takes ${time(own)}`,
      advice: FINE,
    };
  }
  const busier = median(left.map(({ figures }) => figures.mean('utilization')));
  if (busier > most.figures.mean('utilization') * 1.2) {
    const why = `${ids} ${left.length === 1 ? 'is' : 'are'} busy with others' calls (at ${percent(busier)})`;
    return { severity: 'info', why, advice: FINE };
  }
  return {
    severity: 'warning',
    why: 'nothing in their load explains it, so callers ask for it',
    advice:
      'Look for callers that send a heapmesh-hash-key that most of them share, or that exclude servers.',
  };
}
