/** `heapmesh scaling`. */
import type { GetScalingResponse, PoolScaling, ScalingDecision } from '../../gen/heapmesh/v1/admin.ts';
import { millisOf } from '../../grpc/duration.ts';
import type { Io, Register } from '../cli.ts';
import type { ControlOptions } from '../control.ts';
import { addControlOptions, type OutputFormat, outputOption, printJson } from '../options.ts';
import { type Paint, paintFor } from '../render/style.ts';
import { type Cell, type Column, renderTable } from '../render/table.ts';
import { withControl } from '../with-control.ts';

const POOLS: readonly Column[] = [
  { title: 'POOL', shrinkTo: 8 },
  { title: 'UTILIZATION', align: 'right' },
  { title: 'REPORTING', align: 'right' },
  { title: 'IN SERVICE', align: 'right' },
  { title: 'STANDBY', align: 'right' },
  { title: 'WAITING', align: 'right' },
  { title: 'ADDED BY SCALING', shrinkTo: 8 },
];
const DECISIONS: readonly Column[] = [
  { title: 'TIME' },
  { title: 'DECISION' },
  { title: 'SERVER', shrinkTo: 8 },
  { title: 'CAUSE', shrinkTo: 16 },
  { title: 'RESULT', shrinkTo: 16 },
];
/** Decisions shown to a person; `-o json` has all. */
const SHOWN = 15;

type Options = ControlOptions & { readonly output: OutputFormat };

export const register: Register = (program, io) => {
  const command = program
    .command('scaling')
    .summary('show what the rule of scaling sees and has decided')
    .description(
      'Shows the utilization of pools, the threshold above which one more server is wanted, and what was decided: who joined or left, and why.',
    )
    .argument('[service]', 'only this pool')
    .addHelpText('after', '\nExamples:\n  heapmesh scaling\n  heapmesh scaling echo.v1.EchoService -o json');
  addControlOptions(command)
    .addOption(outputOption())
    .action(async (service: string | undefined, options: Options) => {
      await withControl(options, async control => {
        const answer = await control.call(call => control.admin.getScaling({ service: service ?? '' }, call));
        if (options.output === 'json') printJson(io, viewOf(answer));
        else io.stdout.write(`${render(answer, io)}\n`);
      });
    });
};

/** What `-o json` prints; null is unknown. */
function viewOf(answer: GetScalingResponse) {
  return {
    provider: answer.provider || 'none',
    threshold: answer.threshold,
    forMs: millisOf(answer.overFor),
    cooldownMs: millisOf(answer.cooldown),
    scaleIn: { below: answer.scaleInBelow, forMs: millisOf(answer.scaleInFor) },
    max: answer.max,
    pools: answer.pools.map(pool => ({ ...pool, utilization: pool.utilization || null })),
    decisions: answer.decisions.map(decision => ({
      ...decision,
      time: decision.time?.toISOString() ?? null,
    })),
  };
}

function render(answer: GetScalingResponse, io: Io): string {
  const paint = paintFor(io.stdout, io.env);
  const width = io.stdout.isTTY ? io.stdout.columns : undefined;
  if (answer.provider === '') return 'The rule of scaling is off (scaling.provider: none).';
  const parts = [ruleOf(answer)];
  if (answer.pools.length > 0) {
    parts.push(
      renderTable(
        POOLS,
        answer.pools.map(pool => poolRow(pool, answer.threshold)),
        paint,
        width,
      ),
    );
  }
  parts.push(decisionsOf(answer.decisions, paint, width));
  return parts.join('\n\n');
}

function ruleOf({
  provider,
  threshold,
  overFor,
  cooldown,
  scaleInBelow,
  scaleInFor,
  max,
}: GetScalingResponse): string {
  const seconds = (duration: typeof overFor): string => `${millisOf(duration) / 1_000} s`;
  const joins = `One more by ${provider} where a server fails, or is over ${percent(threshold)} for ${seconds(overFor)}; cool-down ${seconds(cooldown)}, at most ${max}.`;
  const leaves =
    scaleInBelow > 0
      ? `The last one goes below ${percent(scaleInBelow)} for ${seconds(scaleInFor)}.`
      : 'None goes by itself.';
  return `${joins} ${leaves}`;
}

function poolRow(pool: PoolScaling, threshold: number): Cell[] {
  const share = pool.utilization === 0 ? '-' : percent(pool.utilization);
  return [
    { text: pool.service, style: 'bold' },
    pool.utilization > threshold ? { text: share, style: 'red' } : share,
    String(pool.reporting),
    String(pool.inService),
    String(pool.standby),
    String(pool.waiting),
    pool.added.join(', ') || '-',
  ];
}

function decisionsOf(decisions: readonly ScalingDecision[], paint: Paint, width: number | undefined): string {
  if (decisions.length === 0) return 'Nothing was decided yet.';
  const rows = decisions
    .slice(-SHOWN)
    .map(({ time, kind, because, serverId, cause, result, done }): Cell[] => [
      time === undefined ? '-' : time.toTimeString().slice(0, 8),
      because === '' ? kind : `${kind}, ${because}`,
      { text: serverId || '-', style: 'bold' },
      cause,
      done || result === '' ? result || 'under way' : { text: result, style: 'red' },
    ]);
  return renderTable(DECISIONS, rows, paint, width);
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
