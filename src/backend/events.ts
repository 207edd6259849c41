/** Listeners by event. One that throws is the application's fault and must not cost a report. */
import type { ReporterLogger } from './options.ts';

export class Events<Map extends object> {
  readonly #listeners: { [K in keyof Map]?: Set<(event: Map[K]) => void> } = {};
  readonly #logger: ReporterLogger;

  constructor(logger: ReporterLogger) {
    this.#logger = logger;
  }

  on<K extends keyof Map>(event: K, listener: (event: Map[K]) => void): () => void {
    const listeners = this.#listeners[event] ?? new Set();
    this.#listeners[event] = listeners;
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  emit<K extends keyof Map>(event: K, value: Map[K]): void {
    for (const listener of this.#listeners[event] ?? []) {
      try {
        listener(value);
      } catch (error) {
        this.#logger.error(`heapmesh: a listener for '${String(event)}' threw: ${String(error)}`);
      }
    }
  }
}
