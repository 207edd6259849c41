/** `heapmesh log explain`: what was asked for, and how it is shown. */
import type { Files } from '../../state/files.ts';
import { CliError, Exit, type Io } from '../cli.ts';
import { type OutputFormat, printJson } from '../options.ts';
import { plural } from '../render/format.ts';
import { explainScore, formatScore } from '../render/score.ts';
import { clean, type Paint, paintFor } from '../render/style.ts';
import { type Explanation, explainAt, explainLease, explainTrace } from './explain.ts';

export interface ExplainOptions {
  readonly output: OutputFormat;
  readonly service?: string;
  /** ms since 1970 */
  readonly at?: number;
  readonly lease?: string;
  /** 32 digits */
  readonly trace?: string;
}

/**
 * As JSON: a service at a time is one explanation; a lease is the newest, and `others` has the times of those that
 * it may be as well; a trace has all of its `picks`.
 */
export async function explain(files: Files, options: ExplainOptions, io: Io): Promise<void> {
  const { service, at, lease, trace } = options;
  if (lease !== undefined && trace !== undefined) throw new CliError('say --lease or --trace', Exit.USAGE);
  if ((service === undefined) !== (at === undefined)) {
    throw new CliError('say --service and --at together', Exit.USAGE);
  }
  const moment = service === undefined || at === undefined ? undefined : { service, time: at };
  const print = (json: object, text: (paint: Paint) => string): void => {
    if (options.output === 'json') printJson(io, json);
    else io.stdout.write(`${text(paintFor(io.stdout, io.env))}\n`);
  };
  if (trace !== undefined) {
    const picks = await explainTrace(files, trace, moment);
    print({ trace, picks }, paint => renderTrace(trace, picks, paint));
  } else if (lease !== undefined) {
    const found = await explainLease(files, lease, moment);
    const others = found.others.map(time => new Date(time).toISOString());
    print({ ...found.newest, others }, paint => renderLease(found.newest, others, paint));
  } else if (moment !== undefined) {
    const explanation = await explainAt(files, moment);
    print(explanation, paint => renderExplanation(explanation, paint));
  } else throw new CliError('say --service and --at, --lease, or --trace', Exit.USAGE);
}

function renderTrace(trace: string, picks: readonly Explanation[], paint: Paint): string {
  if (picks.length === 1) return renderExplanation(picks[0] as Explanation, paint);
  const each = picks.map(
    (pick, i) => `${paint('bold', `pick ${i + 1} of ${picks.length}`)}  ${renderExplanation(pick, paint)}`,
  );
  return [`trace ${trace}: ${picks.length} picks were noted`, ...each].join('\n');
}

function renderLease(newest: Explanation, others: readonly string[], paint: Paint): string {
  const text = renderExplanation(newest, paint);
  if (others.length === 0) return text;
  const also = `${others.length + 1} noted picks of that life had the number of this lease: the newest is shown. The others were at`;
  return [text, also, ...others.map(time => `  ${time}`)].join('\n');
}

function renderExplanation(explanation: Explanation, paint: Paint): string {
  const { exact, service, time, trace, picked, best, members, eligible, policy, want, outside, unknown } =
    explanation;
  const when = new Date(time).toISOString();
  const verb = exact ? 'was picked' : 'would have been picked, as far as the log tells';
  const how = [policy === '' ? '' : `by ${policy}`, want === '' ? '' : `wanted: ${want}`].filter(Boolean);
  const lines = [
    `${paint('bold', clean(service))} at ${when}: ${plural(members, 'server')}, ${eligible} could be picked${trace === '' ? '' : `; trace ${trace}`}`,
    picked === ''
      ? 'nobody was picked'
      : `${paint('green', clean(picked))} ${verb}${how.length === 0 ? '' : ` (${how.join('; ')})`}`,
  ];
  for (const [i, { id, score, newcomer, terms }] of best.entries()) {
    const mark = newcomer ? `  ${paint('magenta', 'newcomer: at the root by rule')}` : '';
    lines.push(
      `  ${i + 1}. ${clean(id)}  ${paint('cyan', formatScore(score))}${mark}  ${paint('dim', explainScore(terms))}`,
    );
  }
  for (const { id, state, cause } of outside)
    lines.push(paint('dim', `  not in the heap: ${clean(id)} ${state}: ${clean(cause)}`));
  if (unknown.length > 0) lines.push('What the log cannot tell:', ...unknown.map(text => `  - ${text}`));
  return lines.join('\n');
}
