/** Reads TypeScript just well enough to judge it: which characters are code, and what is imported from where. */

export interface Import {
  readonly line: number;
  readonly from: string;
  readonly isType: boolean;
}

type Mode = 'code' | 'line-comment' | 'block-comment' | 'string' | 'template' | 'regex';

/** A slash after one of these begins a regular expression; after anything else it divides. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|await))\s*$/;

/** The text with comments and the inside of literals made blank. Lines keep their numbers and columns. */
export function codeOnly(text: string): string {
  let out = '';
  let mode: Mode = 'code';
  let quote = '';
  let inClass = false;
  /** One entry per open `${`: how many plain braces are open inside it. */
  const holes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    const next = text[i + 1];
    if (mode === 'code') {
      const hole = holes.length - 1;
      if (char === '/' && (next === '/' || next === '*')) mode = next === '/' ? 'line-comment' : 'block-comment';
      else if (char === '/' && BEFORE_REGEX.test(out.slice(-40))) mode = 'regex';
      else if (char === "'" || char === '"') mode = 'string';
      else if (char === '`') mode = 'template';
      else if (char === '{' && hole >= 0) holes[hole] = (holes[hole] as number) + 1;
      else if (char === '}' && hole >= 0) {
        if (holes[hole] === 0) {
          holes.pop();
          mode = 'template';
        } else holes[hole] = (holes[hole] as number) - 1;
      }
      quote = char;
      const isComment = mode === 'line-comment' || mode === 'block-comment';
      out += isComment ? ' ' : char;
      if (mode === 'block-comment') {
        out += ' ';
        i++;
      }
      continue;
    }
    const blank = char === '\n' ? '\n' : ' ';
    if (mode === 'line-comment') {
      if (char === '\n') mode = 'code';
      out += blank;
    } else if (mode === 'block-comment') {
      out += blank;
      if (char === '*' && next === '/') {
        out += ' ';
        i++;
        mode = 'code';
      }
    } else if (char === '\\') {
      out += next === '\n' ? ' \n' : '  ';
      i++;
    } else if (mode === 'template' && char === '$' && next === '{') {
      holes.push(0);
      out += '${';
      i++;
      mode = 'code';
    } else if (mode === 'regex') {
      if (char === '[') inClass = true;
      if (char === ']') inClass = false;
      const isEnd = (char === '/' && !inClass) || char === '\n';
      if (isEnd) mode = 'code';
      out += isEnd ? char : blank;
    } else {
      const isEnd = mode === 'template' ? char === '`' : char === quote || char === '\n';
      if (isEnd) mode = 'code';
      out += isEnd ? char : blank;
    }
  }
  return out;
}

/** Every static and dynamic import and re-export that names its module by a literal. */
export function importsOf(text: string): Import[] {
  const code = codeOnly(text);
  const found: Import[] = [];
  const statement = /(?:\b(import|export)\b(?:(\s+type)\b)?[^;'"`()]*?\bfrom\s*|\bimport\s*\(?\s*)(['"])/g;
  for (const match of code.matchAll(statement)) {
    const start = match.index + match[0].length;
    const end = text.indexOf(match[3] as string, start);
    found.push({ line: lineAt(text, start), from: text.slice(start, end), isType: match[2] !== undefined });
  }
  return found;
}

/** 1 for the first line. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}
