/**
 * Matches the regular expressions of query filters. They come from peers, in Go's RE2 syntax, and are run on every node: so
 * they are matched in time linear in the text (Thompson 1968: all states of the automaton at once), never by backtracking.
 * What is not understood is no pattern, and a filter without a pattern passes nobody. wire-gossip.md 13.6.
 */
import { unreachable } from './assert.ts';
import { parsePattern, type PatternNode, type PatternSet } from './pattern-syntax.ts';

/** Longest pattern that is looked at, in UTF-16 units. */
export const PATTERN_LENGTH_MAX = 256;
/** Repetitions multiply: what compiles to more than this is refused. */
const PROGRAM_LENGTH_MAX = 1_000;

type Instruction =
  | { readonly op: 'set'; readonly set: PatternSet }
  | { readonly op: 'split'; readonly first: number; second: number }
  | { readonly op: 'jump'; to: number }
  | { readonly op: 'assert'; readonly at: 'start' | 'end' | 'lineStart' | 'lineEnd' | 'boundary' | 'notBoundary' }
  | { readonly op: 'match' };

/** A function that tells whether the pattern matches anywhere in a text; undefined when it is not a pattern we understand. */
export function compilePattern(source: string): ((text: string) => boolean) | undefined {
  if (source.length > PATTERN_LENGTH_MAX) return undefined;
  const tree = parsePattern(source);
  if (tree === undefined) return undefined;
  const program: Instruction[] = [];
  if (!emit(tree, program)) return undefined;
  program.push({ op: 'match' });
  return (text) => isMatch(program, Array.from(text));
}

/** Appends instructions for `node`; false when the program grows too long. */
function emit(node: PatternNode, program: Instruction[]): boolean {
  if (program.length > PROGRAM_LENGTH_MAX) return false;
  switch (node.kind) {
    case 'set':
      program.push({ op: 'set', set: node.set });
      return true;
    case 'assert':
      program.push({ op: 'assert', at: node.at });
      return true;
    case 'sequence':
      return node.parts.every((part) => emit(part, program));
    case 'choice':
      return emitChoice(node.options, program);
    case 'repeat':
      return emitRepeat(node, program);
    default:
      return unreachable(node);
  }
}

function emitChoice(options: readonly PatternNode[], program: Instruction[]): boolean {
  const exits: { to: number }[] = [];
  for (const [i, option] of options.entries()) {
    if (i === options.length - 1) {
      if (!emit(option, program)) return false;
      break;
    }
    const split = { op: 'split' as const, first: program.length + 1, second: 0 };
    program.push(split);
    if (!emit(option, program)) return false;
    const exit = { op: 'jump' as const, to: 0 };
    program.push(exit);
    exits.push(exit);
    split.second = program.length;
  }
  for (const exit of exits) exit.to = program.length;
  return true;
}

function emitRepeat(node: PatternNode & { readonly kind: 'repeat' }, program: Instruction[]): boolean {
  const before = program.length;
  for (let i = 0; i < node.least; i++) {
    if (!emit(node.body, program)) return false;
    // A body that takes no room may be repeated at no cost, nested a thousand million times: once says it all.
    if (program.length === before) break;
  }
  if (node.most === Number.POSITIVE_INFINITY) {
    const split = { op: 'split' as const, first: program.length + 1, second: 0 };
    const back = program.length;
    program.push(split);
    if (!emit(node.body, program)) return false;
    program.push({ op: 'jump', to: back });
    split.second = program.length;
    return true;
  }
  const skips: { second: number }[] = [];
  for (let i = node.least; i < node.most; i++) {
    const split = { op: 'split' as const, first: program.length + 1, second: 0 };
    program.push(split);
    skips.push(split);
    if (!emit(node.body, program)) return false;
  }
  for (const skip of skips) skip.second = program.length;
  return true;
}

function isMatch(program: readonly Instruction[], characters: readonly string[]): boolean {
  let states: number[] = [];
  // The search is not anchored: a new attempt begins at every position.
  for (let at = 0; at <= characters.length; at++) {
    const reached = closure(program, [...states, 0], characters, at);
    if (reached === undefined) return true;
    const character = characters[at];
    if (character === undefined) return false;
    states = [];
    for (const state of reached) {
      const instruction = program[state];
      if (instruction?.op === 'set' && instruction.set(character.codePointAt(0) ?? 0)) states.push(state + 1);
    }
  }
  return false;
}

/** All states that read a character and are reached without reading one; undefined when the match is complete. */
function closure(
  program: readonly Instruction[],
  from: readonly number[],
  characters: readonly string[],
  at: number,
): number[] | undefined {
  const seen = new Uint8Array(program.length);
  const reached: number[] = [];
  const pending = [...from];
  for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
    if (seen[state] === 1) continue;
    seen[state] = 1;
    const instruction = program[state];
    if (instruction === undefined) continue;
    if (instruction.op === 'match') return undefined;
    if (instruction.op === 'set') reached.push(state);
    else if (instruction.op === 'jump') pending.push(instruction.to);
    else if (instruction.op === 'split') pending.push(instruction.second, instruction.first);
    else if (holds(instruction.at, characters, at)) pending.push(state + 1);
  }
  return reached;
}

function holds(assertion: (Instruction & { op: 'assert' })['at'], characters: readonly string[], at: number): boolean {
  switch (assertion) {
    case 'start':
      return at === 0;
    case 'end':
      return at === characters.length;
    case 'lineStart':
      return at === 0 || characters[at - 1] === '\n';
    case 'lineEnd':
      return at === characters.length || characters[at] === '\n';
    case 'boundary':
      return isWord(characters[at - 1]) !== isWord(characters[at]);
    case 'notBoundary':
      return isWord(characters[at - 1]) === isWord(characters[at]);
    default:
      return unreachable(assertion);
  }
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /^[0-9A-Za-z_]$/.test(character);
}
