/**
 * Reads RE2 syntax into a tree: literals, classes, groups, choices, repetitions, anchors, the flags i, m and s.
 * Unicode properties, `\Q`, `\C`, and the flag U are not understood.
 */

/** Which code points match. */
export type PatternSet = (codePoint: number) => boolean;

export type PatternNode =
  | { readonly kind: 'set'; readonly set: PatternSet }
  | { readonly kind: 'assert'; readonly at: 'start' | 'end' | 'lineStart' | 'lineEnd' | 'boundary' | 'notBoundary' }
  | { readonly kind: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly options: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly body: PatternNode; readonly least: number; readonly most: number };

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
}

/** RE2's own limits. */
const REPEAT_MAX = 1_000;
const DEPTH_MAX = 64;
const NO_FLAGS: Flags = { ignoreCase: false, multiLine: false, dotAll: false };

const CLASS_ESCAPES: Readonly<Record<string, PatternSet>> = {
  d: range('0', '9'),
  w: (c) => range('0', '9')(c) || range('A', 'Z')(c) || range('a', 'z')(c) || c === 0x5f,
  s: (c) => c === 0x20 || c === 0x09 || c === 0x0a || c === 0x0c || c === 0x0d,
};
const CHARACTER_ESCAPES: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
const NAMED_CLASSES: Readonly<Record<string, PatternSet>> = {
  alnum: (c) => range('0', '9')(c) || range('A', 'Z')(c) || range('a', 'z')(c),
  alpha: (c) => range('A', 'Z')(c) || range('a', 'z')(c),
  ascii: (c) => c < 0x80,
  blank: (c) => c === 0x20 || c === 0x09,
  cntrl: (c) => c < 0x20 || c === 0x7f,
  digit: range('0', '9'),
  graph: range('!', '~'),
  lower: range('a', 'z'),
  print: range(' ', '~'),
  punct: (c) => range('!', '/')(c) || range(':', '@')(c) || range('[', '`')(c) || range('{', '~')(c),
  space: (c) => c === 0x20 || (c >= 0x09 && c <= 0x0d),
  upper: range('A', 'Z'),
  word: (c) => range('0', '9')(c) || range('A', 'Z')(c) || range('a', 'z')(c) || c === 0x5f,
  xdigit: (c) => range('0', '9')(c) || range('A', 'F')(c) || range('a', 'f')(c),
};

/** Undefined when the text is no pattern, or uses what we do not understand. */
export function parsePattern(source: string): PatternNode | undefined {
  const parser = new Parser(Array.from(source));
  const tree = parser.choice(NO_FLAGS, 0);
  return parser.failed || !parser.isAtEnd ? undefined : tree;
}

class Parser {
  /** Once true, whatever was returned means nothing. */
  failed = false;
  readonly #input: readonly string[];
  #at = 0;

  constructor(input: readonly string[]) {
    this.#input = input;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#input.length;
  }

  choice(flags: Flags, depth: number): PatternNode {
    if (depth > DEPTH_MAX) return this.#fail();
    const options: PatternNode[] = [];
    let current = flags;
    do {
      const parts: PatternNode[] = [];
      while (!this.failed && !this.isAtEnd && this.#peek() !== '|' && this.#peek() !== ')') {
        const changed = this.#flagChange(current);
        if (changed !== undefined) current = changed;
        else parts.push(this.#repeated(this.#atom(current, depth)));
      }
      options.push({ kind: 'sequence', parts });
    } while (!this.failed && this.#eat('|'));
    return { kind: 'choice', options };
  }

  #peek(ahead = 0): string | undefined {
    return this.#input[this.#at + ahead];
  }

  #eat(text: string): boolean {
    const characters = Array.from(text);
    if (!characters.every((character, i) => this.#peek(i) === character)) return false;
    this.#at += characters.length;
    return true;
  }

  #fail(): PatternNode {
    this.failed = true;
    return { kind: 'sequence', parts: [] };
  }

  /** `(?i)` and the like: the flags that hold for the rest of the group. Undefined when none is here. */
  #flagChange(flags: Flags): Flags | undefined {
    const written = /^\(\?([a-zA-Z]*)(?:-([a-zA-Z]+))?\)/.exec(this.#input.slice(this.#at, this.#at + 16).join(''));
    if (written === null) return undefined;
    this.#at += written[0].length;
    return this.#changeFlags(flags, written[1] ?? '', written[2] ?? '');
  }

  #changeFlags(flags: Flags, on: string, off: string): Flags {
    if (!/^[ims]*$/.test(on + off)) this.failed = true;
    const has = (held: boolean, letter: string): boolean => (held || on.includes(letter)) && !off.includes(letter);
    return {
      ignoreCase: has(flags.ignoreCase, 'i'),
      multiLine: has(flags.multiLine, 'm'),
      dotAll: has(flags.dotAll, 's'),
    };
  }

  #atom(flags: Flags, depth: number): PatternNode {
    const character = this.#peek();
    if (character === undefined || '*+?'.includes(character)) return this.#fail();
    if (character === '(') return this.#group(flags, depth);
    this.#at += 1;
    switch (character) {
      case '.':
        return { kind: 'set', set: flags.dotAll ? () => true : (c) => c !== 0x0a };
      case '^':
        return { kind: 'assert', at: flags.multiLine ? 'lineStart' : 'start' };
      case '$':
        return { kind: 'assert', at: flags.multiLine ? 'lineEnd' : 'end' };
      case '[':
        return { kind: 'set', set: this.#bracket(flags) };
      case '\\':
        return this.#escapedAtom(flags);
      default:
        return { kind: 'set', set: literal(character.codePointAt(0) ?? 0, flags) };
    }
  }

  #group(flags: Flags, depth: number): PatternNode {
    this.#at += 1;
    let inner = flags;
    const head = /^\?(?:P?<(\w+)>|([a-zA-Z]*)(?:-([a-zA-Z]+))?:)/.exec(
      this.#input.slice(this.#at, this.#at + 64).join(''),
    );
    if (head !== null) {
      this.#at += Array.from(head[0]).length;
      if (head[1] === undefined) inner = this.#changeFlags(flags, head[2] ?? '', head[3] ?? '');
    } else if (this.#peek() === '?') return this.#fail();
    const body = this.choice(inner, depth + 1);
    return this.#eat(')') ? body : this.#fail();
  }

  #escapedAtom(flags: Flags): PatternNode {
    if (this.#eat('A')) return { kind: 'assert', at: 'start' };
    if (this.#eat('z')) return { kind: 'assert', at: 'end' };
    if (this.#eat('b')) return { kind: 'assert', at: 'boundary' };
    if (this.#eat('B')) return { kind: 'assert', at: 'notBoundary' };
    const escaped = this.#escape();
    return { kind: 'set', set: typeof escaped === 'number' ? literal(escaped, flags) : escaped };
  }

  /** After a backslash: one code point, or a class. */
  #escape(): number | PatternSet {
    const character = this.#peek() ?? '';
    this.#at += 1;
    const set = CLASS_ESCAPES[character.toLowerCase()];
    if (set !== undefined) return character === character.toLowerCase() ? set : (c) => !set(c);
    const control = CHARACTER_ESCAPES[character];
    if (control !== undefined) return control;
    if (character === 'x') {
      const digits = /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/.exec(
        this.#input.slice(this.#at, this.#at + 8).join(''),
      );
      if (digits !== null) {
        this.#at += digits[0].length;
        return Number.parseInt(digits[1] ?? digits[2] ?? '', 16);
      }
    }
    // RE2 lets punctuation be escaped, and nothing else that it gives no meaning.
    if (/^[!-/:-@[-`{-~]$/.test(character)) return character.codePointAt(0) ?? 0;
    this.failed = true;
    return 0;
  }

  #bracket(flags: Flags): PatternSet {
    const isNegated = this.#eat('^');
    const sets: PatternSet[] = [];
    while (!this.failed && (sets.length === 0 || this.#peek() !== ']')) {
      if (this.isAtEnd) this.failed = true;
      else sets.push(this.#bracketItem(flags));
    }
    this.#at += 1;
    return (c) => sets.some((set) => set(c)) !== isNegated;
  }

  #bracketItem(flags: Flags): PatternSet {
    const named = /^\[:(\^?)([a-z]+):\]/.exec(this.#input.slice(this.#at, this.#at + 12).join(''));
    if (named !== null) {
      this.#at += named[0].length;
      const set = NAMED_CLASSES[named[2] ?? ''];
      if (set === undefined) this.failed = true;
      else return named[1] === '^' ? (c) => !set(c) : set;
    }
    const low = this.#bracketEnd();
    if (typeof low !== 'number') return low;
    if (this.#peek() !== '-' || this.#peek(1) === ']') return literal(low, flags);
    this.#at += 1;
    const high = this.#bracketEnd();
    if (typeof high !== 'number' || high < low) this.failed = true;
    const between: PatternSet = (c) => c >= low && c <= Number(high);
    return flags.ignoreCase ? (c) => caseForms(c).some(between) : between;
  }

  #bracketEnd(): number | PatternSet {
    const character = this.#peek() ?? '';
    this.#at += 1;
    return character === '\\' ? this.#escape() : (character.codePointAt(0) ?? 0);
  }

  #repeated(atom: PatternNode): PatternNode {
    let body = atom;
    // RE2 refuses `a**`, so one repetition, lazy or not: laziness does not change whether there is a match.
    const counts = this.#repetition();
    if (counts !== undefined) body = { kind: 'repeat', body, ...counts };
    return body;
  }

  #repetition(): { readonly least: number; readonly most: number } | undefined {
    let counts: { readonly least: number; readonly most: number } | undefined;
    if (this.#eat('*')) counts = { least: 0, most: Number.POSITIVE_INFINITY };
    else if (this.#eat('+')) counts = { least: 1, most: Number.POSITIVE_INFINITY };
    else if (this.#eat('?')) counts = { least: 0, most: 1 };
    else {
      // Braces that hold no counts are plain characters.
      const written = /^\{(\d{1,4})(,?)(\d{0,4})\}/.exec(this.#input.slice(this.#at, this.#at + 12).join(''));
      if (written === null) return undefined;
      this.#at += written[0].length;
      const least = Number(written[1]);
      const open = written[3] === '' ? Number.POSITIVE_INFINITY : Number(written[3]);
      counts = { least, most: written[2] === '' ? least : open };
      const isTooMany = least > REPEAT_MAX || (counts.most > REPEAT_MAX && counts.most !== Number.POSITIVE_INFINITY);
      if (isTooMany || counts.most < least || (written[2] === '' && written[3] !== '')) this.failed = true;
    }
    this.#eat('?');
    return counts;
  }
}

function range(low: string, high: string): PatternSet {
  const first = low.codePointAt(0) ?? 0;
  const last = high.codePointAt(0) ?? 0;
  return (c) => c >= first && c <= last;
}

function literal(codePoint: number, flags: Flags): PatternSet {
  return flags.ignoreCase ? (c) => caseForms(c).includes(codePoint) : (c) => c === codePoint;
}

/** The code point, in lower and in upper case. */
function caseForms(codePoint: number): number[] {
  if (codePoint > 0x10_ffff) return [codePoint];
  const text = String.fromCodePoint(codePoint);
  return [codePoint, text.toLowerCase().codePointAt(0) ?? 0, text.toUpperCase().codePointAt(0) ?? 0];
}
