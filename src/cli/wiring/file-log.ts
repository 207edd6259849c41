/** From the configuration of a log in files to the log, opened. */
import type { Config } from '../../config/config.ts';
import type { Clock } from '../../control/control.ts';
import { filesIn } from '../../state/files.ts';
import { lockDirectory } from '../../state/lock.ts';
import { type OpenedFileLog, openFileLog } from '../../state/open.ts';
import type { Logger } from '../../telemetry/telemetry.ts';
import { CliError, Exit } from '../cli.ts';

export interface FileLogSurroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onError: (error: unknown) => void;
  /** Begins with nothing, whatever is there. */
  readonly ignoreState?: boolean | undefined;
}

/** @throws CliError where the log cannot be read whole, or another process has the directory. */
export async function openFile(
  config: Config,
  { clock, logger, onError, ignoreState }: FileLogSurroundings,
): Promise<OpenedFileLog> {
  const { directory, historyOctets } = config.state;
  const opening = openFileLog({
    files: filesIn(directory),
    origin: config.instance.id,
    wallClock: clock.wall,
    after: clock.after,
    historyOctets,
    ignoreState: ignoreState === true,
    lock: files => lockDirectory(files, Math.random, text => logger.warn(text)),
    onNote: (level, text) => logger[level](text),
    onError,
  });
  const opened = await opening.catch((error: unknown) => {
    const { message, code } = error as NodeJS.ErrnoException;
    const why = code === undefined ? message : `the log in ${directory} cannot be opened: ${message}`;
    throw new CliError(why, Exit.FAILURE, { cause: error });
  });
  const { skipped, notUnderstood } = opened.recovered.snapshot;
  if (notUnderstood > 0) {
    logger.error(
      `${notUnderstood} entries of the log are of a newer version and change facts: update this instance`,
    );
  }
  if (skipped > 0) logger.warn(`${skipped} entries of the log are of a newer version, and may be skipped`);
  return opened;
}
