/** An operator's change, made on every instance: where they share no log, nobody else tells the others. */
import { Exit, type Io, QuietExit } from './cli.ts';
import type { Control, ControlOptions } from './control.ts';
import { withControl } from './with-control.ts';

/**
 * Makes a change on the balancer that was named, prints what it answered, and makes it on the others.
 * Those that cannot be told are named on stderr, and the exit code is 1 then.
 */
export async function changeEverywhere<T>(
  options: ControlOptions,
  io: Io,
  change: (control: Control) => Promise<T>,
  print: (answer: T) => void | Promise<void>,
): Promise<void> {
  await withControl(options, async control => {
    const answer = await change(control);
    const missed = await tellOthers(control, options, change);
    await print(answer);
    for (const line of missed) io.stderr.write(`warning: ${line}\n`);
    if (missed.length > 0) throw new QuietExit(Exit.FAILURE);
  });
}

async function tellOthers(
  control: Control,
  options: ControlOptions,
  change: (control: Control) => Promise<unknown>,
): Promise<string[]> {
  const others = await othersOf(control);
  const missed = await Promise.all(
    others.map(async ({ id, address }) => {
      try {
        await withControl({ ...options, control: address }, change);
        return [];
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        const who = id === '' ? address : `${id} (${address})`;
        return [`not done on ${who}: ${why}; say it again with --control ${address}`];
      }
    }),
  );
  return missed.flat();
}

/** Instances that a change has to be told as well. */
async function othersOf(control: Control): Promise<{ id: string; address: string }[]> {
  const { instances, sharedLog } = await control.instances();
  if (sharedLog) return [];
  return instances.slice(1).map(({ id, controlAddress: address }) => ({ id, address }));
}
