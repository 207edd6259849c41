/** The control client for as long as a command needs it. */
import type { Control, ControlOptions } from './control.ts';

/** Runs `work` with a client that is closed in any case. */
export async function withControl<T>(
  options: ControlOptions,
  work: (control: Control) => Promise<T>,
): Promise<T> {
  // Loaded here, so that help, version and completion do not wait for a gRPC library.
  const { openControl } = await import('./control.ts');
  const control = openControl(options);
  try {
    return await work(control);
  } finally {
    control.close();
  }
}
