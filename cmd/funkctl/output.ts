/** Results on stdout: tables for people, JSON for programs. Names and tags come from other machines, so they are made harmless. */
import Table from 'cli-table3';

/** One object, on one line when it is one of many. */
export function printJson(value: unknown, style: 'pretty' | 'line' = 'pretty'): void {
  process.stdout.write(`${style === 'pretty' ? JSON.stringify(value, null, 2) : JSON.stringify(value)}\n`);
}

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Aligned columns without lines; a blank between them, none at the end. */
export function printTable(rows: readonly (readonly string[])[]): void {
  process.stdout.write(tableText(rows));
}

export function tableText(rows: readonly (readonly string[])[]): string {
  const table = new Table({ chars: NO_LINES, style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] } });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** `name: value` pairs, aligned. */
export function printPairs(pairs: readonly (readonly [string, string])[]): void {
  printTable(pairs.map(([name, value]) => [`${name}:`, ` ${value}`]));
}

/** Control characters would let a peer move the cursor or hide lines. */
export function printable(text: string): string {
  return text.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

const EDGES = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
  'left',
  'left-mid',
  'mid',
  'mid-mid',
  'right',
  'right-mid',
];
const NO_LINES = { ...Object.fromEntries(EDGES.map((edge) => [edge, ''])), middle: ' ' };
