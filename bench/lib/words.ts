/** The words behind a bench's name: numbers within bounds, and choices. A wrong word ends the bench before anything starts. */
import { parseArgs } from 'node:util';

export interface NumberWord {
  readonly fallback: number;
  readonly least: number;
  readonly most: number;
}

export interface ChoiceWord {
  readonly choices: readonly [string, ...string[]];
}

type Wanted = Readonly<Record<string, NumberWord | ChoiceWord>>;
type Given<W extends Wanted> = { readonly [K in keyof W]: W[K] extends NumberWord ? number : string };

/** The first choice is the default. */
export function wordsOf<W extends Wanted>(wanted: W): Given<W> {
  const options = Object.fromEntries(Object.keys(wanted).map((name) => [name, { type: 'string' as const }]));
  try {
    const { values } = parseArgs({ options, allowPositionals: false });
    const given = Object.entries(wanted).map(([name, want]) => [name, valueOf(name, want, values[name])]);
    return Object.fromEntries(given) as Given<W>;
  } catch (error) {
    const known = Object.entries(wanted).map(([name, want]) => `--${name} ${shapeOf(want)}`);
    process.stderr.write(`${(error as Error).message}\nthis bench takes: ${known.join(', ')}\n`);
    return process.exit(2);
  }
}

function valueOf(name: string, want: NumberWord | ChoiceWord, text: string | boolean | undefined): number | string {
  if ('choices' in want) {
    const choice = text ?? want.choices[0];
    if (typeof choice === 'string' && want.choices.includes(choice)) return choice;
    throw new Error(`--${name} is ${want.choices.join(' or ')}`);
  }
  const value = text === undefined ? want.fallback : Number(text);
  if (Number.isInteger(value) && value >= want.least && value <= want.most) return value;
  throw new Error(`--${name} is a whole number from ${want.least} to ${want.most}`);
}

function shapeOf(want: NumberWord | ChoiceWord): string {
  return 'choices' in want ? want.choices.join('|') : `${want.least}..${want.most} (${want.fallback})`;
}
