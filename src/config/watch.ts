/** Tells when a configuration file was changed, or when its process got SIGHUP. */
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

export interface WatchOptions {
  /** A file changes in bursts: this long after the last sign of one it is read. Default 200 ms. */
  readonly settleMs?: number;
  /** Called where the file's folder cannot be watched; SIGHUP goes on working. */
  readonly onError?: (error: Error) => void;
  /** Whose SIGHUP is heard. Default: this process. */
  readonly signals?: NodeJS.EventEmitter;
}

/**
 * Calls `onChange` once for each burst of changes to the file, and at each SIGHUP.
 * The folder is watched, not the file: an editor that writes a new file and renames it over the old
 * one, or a volume that swaps a symbolic link, would leave a watch on a file that is gone.
 *
 * @returns ends it; no call follows.
 */
export function watchConfig(
  file: string,
  onChange: (why: 'changed' | 'SIGHUP') => void,
  options: WatchOptions = {},
): () => void {
  const { settleMs = 200, onError = () => {}, signals = process } = options;
  const folder = dirname(resolve(file));
  const name = basename(file);
  let timer: NodeJS.Timeout | undefined;
  const onHangup = () => onChange('SIGHUP');

  const onEvent = (_event: string, changed: string | null) => {
    // Kubernetes swaps `..data` beside the link that the file is. A null name can be any file.
    if (changed !== null && changed !== name && changed !== '..data') return;
    clearTimeout(timer);
    timer = setTimeout(() => onChange('changed'), settleMs);
    timer.unref();
  };
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(folder, { persistent: false }, onEvent);
    watcher.on('error', onError);
  } catch (error) {
    onError(error as Error);
  }
  signals.on('SIGHUP', onHangup);
  return () => {
    clearTimeout(timer);
    watcher?.close();
    signals.off('SIGHUP', onHangup);
  };
}
