export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** One structured line per call. Never throws, never blocks on a slow reader. Fields never hold secrets. */
export interface Logger {
  log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void;
  child(room: string): Logger;
}
