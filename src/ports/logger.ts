/** From the most to the least talkative. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** What a node writes to. One structured line per call; must never throw or block on a slow reader. Fields never hold secrets. */
export interface Logger {
  log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void;
  /** A logger whose lines name the part of the node that they come from. */
  child(room: string): Logger;
}
