/** What every verb is told. */
import { EXIT_USAGE, ExitError } from './exit-codes.ts';

export interface GlobalOptions {
  readonly endpoint?: string;
  /** Undefined unless it was named. */
  readonly clusterName?: string;
  readonly interface?: string;
  /** Whether mDNS may be asked. */
  readonly zeroconf: boolean;
  readonly timeoutMs: number;
  readonly json: boolean;
}

/** `tag=regex` in two. */
export function tagFilter(text: string): [tag: string, expression: string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new ExitError(EXIT_USAGE, `--tag is ${text}; it must be tag=regex`);
  return [text.slice(0, at), text.slice(at + 1)];
}
