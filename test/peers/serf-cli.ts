/** The stock `serf` command line against an agent or a funknode, and what of its output may differ between the two. */
import { execFile } from 'node:child_process';
import { programPath } from './peer.ts';

export interface CliResult {
  readonly exitCode: number;
  /** Both streams, as a terminal shows them. */
  readonly text: string;
}

/** Ends by itself, or after `timeoutMs` by an interrupt, as an operator ends a monitor. */
export function serfCli(rpc: string, args: readonly string[], timeoutMs = 60_000): Promise<CliResult> {
  const [command = '', ...rest] = args;
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGINT' as const };
    execFile(
      programPath('serf') ?? 'serf',
      [command, `-rpc-addr=${rpc}`, ...rest],
      options,
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ exitCode: code, text: stdout + stderr });
      },
    );
  });
}

/** Turns an output into what must be the same from both. */
export type Normalise = (text: string) => unknown;

export const exactly: Normalise = (text) => text;

/** Answers come in the order of the network. */
export const inAnyOrder: Normalise = (text) => text.split('\n').sort();

/** Rows in any order, and tags, which Go prints in the order of a hash. */
export const memberRows: Normalise = (text) =>
  text
    .split('\n')
    .map((line) =>
      line
        .trim()
        .split(/ {2,}/)
        .map((cell) => (cell.includes('=') ? cell.split(',').sort().join(',') : cell))
        .join(' | '),
    )
    .sort();

/** The same value, whatever the order of its lists. */
export const jsonInAnyOrder: Normalise = (text) => sorted(JSON.parse(text));

/** Figures of one process: they are there in both, with values of their own. */
const OWN_FIGURES =
  /^\t(arch|cpu_count|goroutines|max_procs|os|version|name|\w+_time|\w+_queue|health_score|coordinate_resets) = .*$/;

/** Groups and names must be those of an agent; the tags are the node's own. */
export const infoShape: Normalise = (text) =>
  text
    .replace(/^tags:\n(?:\t.*\n)*/m, 'tags:\n')
    .split('\n')
    .map((line) => line.replace(OWN_FIGURES, '\t$1 = *'));

/** How long it took is not the same twice. */
export const withoutFigures: Normalise = (text) => text.replace(/\d+\.\d+/g, '*');

/** The first line: what follows is in the words of whoever could not do it. */
export const firstLine: Normalise = (text) => text.split('\n')[0];

/**
 * Of a monitor: user events and queries, each a block whose lines Go prints in the order of a hash. An agent holds member events and
 * what may coalesce back for seconds, so the blocks come in an order of their own.
 */
export function monitoredEvents(text: string): readonly string[] {
  const blocks = [...text.matchAll(/^Event Info:\n((?:\t.*\n)*)/gm)].map(([, block = '']) => block);
  return blocks
    .filter((block) => !block.includes('Event: "member-'))
    .map((block) => block.split('\n').sort().join('\n'))
    .sort();
}

/** Everyone says that there are no keys; an agent stops listening when some have. */
export const noKeyring: Normalise = (text) => [
  text.replace(/^failed:.*\n/gm, '').replace(/\d\//, '*/'),
  /^failed: +\w+ +Keyring is empty \(encryption not enabled\)$/m.test(text),
];

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    const texts = value.map(sorted).map((item) => JSON.stringify(item));
    return texts.sort().map((text): unknown => JSON.parse(text));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}
