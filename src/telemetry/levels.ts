/** The levels of the log, the most talkative first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

/** From which level on lines are written. */
export type LogLevel = (typeof LOG_LEVELS)[number] | 'trace' | 'fatal' | 'silent';
