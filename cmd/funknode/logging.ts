/** Lines on stderr: JSON for machines, text for people. Results alone go to stdout. */
import { type DestinationStream, destination, type LevelWithSilent, type Logger as Pino, pino } from 'pino';
import type { LogFormat } from '../../src/node-config/option-table.ts';
import type { Logger, LogLevel } from '../../src/ports/logger.ts';

export interface LogSettings {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Of stderr. */
  readonly isTerminal: boolean;
}

export interface Log extends Logger {
  /** A line in words, for people and machines alike. */
  say(level: LogLevel, event: string, text: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Whether lines are text. */
  readonly isText: boolean;
  /** From now on every line for machines says whose it is. */
  nameNode(node: string): void;
}

export async function openLog(settings: LogSettings): Promise<Log> {
  const isText = settings.format === 'text' || (settings.format === 'auto' && settings.isTerminal);
  const sink: DestinationStream = isText ? await prettyStream(settings.isTerminal) : destination({ fd: 2, sync: true });
  const named = { node: undefined as string | undefined };
  const root = pino(
    {
      level: settings.level as LevelWithSilent,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => (isText || named.node === undefined ? {} : { node: named.node }),
    },
    sink,
  );
  return new PinoLog(root, isText, (node) => {
    named.node = node;
  });
}

class PinoLog implements Log {
  readonly isText: boolean;
  readonly nameNode: (node: string) => void;
  readonly #pino: Pino;

  constructor(out: Pino, isText: boolean, nameNode: (node: string) => void) {
    this.#pino = out;
    this.isText = isText;
    this.nameNode = nameNode;
  }

  log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void {
    if (!this.#pino.isLevelEnabled(level)) return;
    const words = this.isText
      ? [event, ...Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`)]
      : [];
    this.#pino[level](this.isText ? {} : { event, ...fields }, this.isText ? words.join(' ') : event);
  }

  say(level: LogLevel, event: string, text: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#pino[level](this.isText ? {} : { event, ...fields }, text);
  }

  child(room: string): Logger {
    return new PinoLog(this.#pino.child({ room }), this.isText, this.nameNode);
  }
}

/** Loaded only where somebody looks. */
async function prettyStream(isTerminal: boolean): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    destination: 2,
    sync: true,
    colorize: isTerminal && wantsColour(),
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname,room',
    customPrettifiers: { level: (level: unknown) => LEVEL_WORDS[String(level)] ?? String(level) },
    singleLine: true,
  });
}

/** What should be seen stands out. */
const LEVEL_WORDS: Readonly<Record<string, string>> = { warn: 'WARN', error: 'ERROR' };

function wantsColour(): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env as { NO_COLOR?: string; FORCE_COLOR?: string; TERM?: string };
  return (FORCE_COLOR !== undefined && FORCE_COLOR !== '0') || ((NO_COLOR ?? '') === '' && TERM !== 'dumb');
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}
