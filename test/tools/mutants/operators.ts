/**
 * The small changes that are tried on a built file: another comparison, a condition that always or never holds, a statement left out.
 *
 * No mutants: what only speaks (texts, `throw`), assertions, `check()` and `digest()` (a net with a hole is not a broken product), imports, settings
 * (integers of 16 and more, and all that a module works out when it is loaded), fields that a constructor sets (the compiler would miss
 * them), and changes that this code sees to be none.
 */
import {
  type BinaryExpression,
  type CallExpression,
  type IfStatement,
  type Node,
  type NumericLiteral,
  type PrefixUnaryExpression,
  SyntaxKind,
} from 'typescript/unstable/ast';

export interface Edit {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** The expression or statement that stands there in two versions (switches.ts). */
  readonly anchor: Node;
  /** What is shown of it, before and after. */
  readonly around: Node;
}

interface Places {
  /** Where `place` itself is no expression. */
  readonly anchor?: Node;
  readonly around?: Node;
}
type Add = (kind: string, place: Node, text: string, places?: Places) => void;

const BOUNDARIES: Readonly<Record<string, string>> = { '<': '<=', '<=': '<', '>': '>=', '>=': '>' };
const OPPOSITES: Readonly<Record<string, string>> = {
  '<': '>=',
  '<=': '>',
  '>': '<=',
  '>=': '<',
  '===': '!==',
  '!==': '===',
};
const SWAPPED: Readonly<Record<string, string>> = {
  '&&': '||',
  '||': '&&',
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '+=': '-=',
  '-=': '+=',
};
const LOGICAL = ['&&', '||'];
const SWAPPED_CALLS: Readonly<Record<string, string>> = {
  min: 'max',
  max: 'min',
  floor: 'ceil',
  ceil: 'floor',
  some: 'every',
  every: 'some',
};
const OF_MATH = ['min', 'max', 'floor', 'ceil'];
/** Integers from here on are times, sizes and limits: settings, of which another value is another opinion. */
const SETTINGS_FROM = 16;
const INNER: readonly SyntaxKind[] = [
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.ArrowFunction,
  SyntaxKind.ClassDeclaration,
];
const SPEECH = /^(?:assert|unreachable|check)$/;

/** All changes to try, in the order of their places. */
export function editsOf(file: Node, source: string): Edit[] {
  const edits: Edit[] = [];
  const add: Add = (kind, place, text, { anchor = place, around = anchor } = {}) => {
    const start = place.getStart();
    if (source.slice(start, place.end) === text || isOfModule(place)) return;
    edits.push({ kind, start, end: place.end, text, anchor, around });
  };
  const visit = (node: Node): void => {
    if (isLeftAlone(node, source)) return;
    change(node, source, add);
    node.forEachChild((child) => {
      visit(child);
      return undefined;
    });
  };
  visit(file);
  return edits.sort((a, b) => a.start - b.start || (a.kind < b.kind ? -1 : 1));
}

function isLeftAlone(node: Node, source: string): boolean {
  switch (node.kind) {
    case SyntaxKind.ImportDeclaration:
    case SyntaxKind.ExportDeclaration:
    case SyntaxKind.ThrowStatement:
      return true;
    case SyntaxKind.MethodDeclaration:
      return ['check', 'digest'].includes(nameOf(node));
    case SyntaxKind.ConditionalExpression: {
      const { whenTrue, whenFalse } = node as unknown as { whenTrue: Node; whenFalse: Node };
      return isSentence(whenTrue, source) && isSentence(whenFalse, source);
    }
    case SyntaxKind.CallExpression:
      return SPEECH.test(lastName((node as CallExpression).expression, source));
    default:
      return false;
  }
}

function change(node: Node, source: string, add: Add): void {
  switch (node.kind) {
    case SyntaxKind.BinaryExpression:
      return changeBinary(node as BinaryExpression, source, add);
    case SyntaxKind.PrefixUnaryExpression:
      return changePrefix(node as PrefixUnaryExpression, source, add);
    case SyntaxKind.PostfixUnaryExpression: {
      const text = textOf(node, source);
      return add('count', node, text.endsWith('++') ? text.replace('++', '--') : text.replace('--', '++'));
    }
    case SyntaxKind.IfStatement:
      return changeCondition((node as IfStatement).expression, 'both', add);
    case SyntaxKind.ConditionalExpression:
      return changeCondition((node as unknown as { condition: Node }).condition, 'both', add);
    case SyntaxKind.WhileStatement:
      return changeCondition((node as unknown as { expression: Node }).expression, 'never', add);
    case SyntaxKind.TrueKeyword:
      return add('boolean', node, 'false', { around: node.parent });
    case SyntaxKind.FalseKeyword:
      return add('boolean', node, 'true', { around: node.parent });
    case SyntaxKind.NumericLiteral:
      return changeNumber(node as NumericLiteral, source, add);
    case SyntaxKind.CallExpression:
      return changeCall(node as CallExpression, source, add);
    case SyntaxKind.ExpressionStatement:
      if (mayBeMissing(node, source)) add('removed', node, ';');
      return;
    default:
      return;
  }
}

function changeBinary(node: BinaryExpression, source: string, add: Add): void {
  const { operatorToken } = node;
  const operator = textOf(operatorToken, source);
  const boundary = BOUNDARIES[operator];
  if (boundary !== undefined && !isTie(node, source)) add('boundary', operatorToken, boundary, { anchor: node });
  const opposite = OPPOSITES[operator];
  if (opposite !== undefined) add('opposite', operatorToken, opposite, { anchor: node });
  const swapped = SWAPPED[operator];
  if (swapped !== undefined && !(operator === '+' && isText(node))) {
    add(LOGICAL.includes(operator) ? 'logic' : 'arithmetic', operatorToken, swapped, { anchor: node });
  }
  if (operator === '??') add('fallback', node, textOf(node.left, source));
}

function changePrefix(node: PrefixUnaryExpression, source: string, add: Add): void {
  const text = textOf(node, source);
  if (text.startsWith('++') || text.startsWith('--'))
    return add('count', node, `${text[0] === '+' ? '--' : '++'}${text.slice(2)}`);
  if (text.startsWith('!')) add('not', node, textOf(node.operand, source));
  else if (text.startsWith('-')) add('sign', node, textOf(node.operand, source));
}

function changeCondition(condition: Node, how: 'both' | 'never', add: Add): void {
  if (how === 'both') add('always', condition, 'true');
  add('never', condition, 'false');
}

function changeNumber(node: NumericLiteral, source: string, add: Add): void {
  const value = Number(textOf(node, source));
  if (!Number.isInteger(value) || value >= SETTINGS_FROM) return;
  // Of an order only the sign counts.
  if (
    /\? -?1 : -?1$/.test(
      textOf(node.parent.kind === SyntaxKind.PrefixUnaryExpression ? node.parent.parent : node.parent, source),
    )
  )
    return;
  if (node.parent.kind === SyntaxKind.PropertyAssignment && node.parent.getStart() === node.getStart()) return;
  add('more', node, String(value + 1), { around: node.parent });
  // `n += 0` is the statement left out.
  if (value > 1 || (value === 1 && !/[-+]= 1$/.test(textOf(node.parent, source))))
    add('less', node, String(value - 1), { around: node.parent });
}

function changeCall(node: CallExpression, source: string, add: Add): void {
  const { expression } = node;
  if (expression.kind !== SyntaxKind.PropertyAccessExpression) return;
  const name = lastName(expression, source);
  const other = SWAPPED_CALLS[name];
  if (other === undefined || OF_MATH.includes(name) !== textOf(expression, source).startsWith('Math.')) return;
  add('call', (expression as unknown as { name: Node }).name, other, { anchor: node });
}

/** A statement that can be left out: neither an assertion, nor `super()`, nor a field that a constructor sets. */
function mayBeMissing(node: Node, source: string): boolean {
  const text = textOf(node, source);
  if (/^super\b|^(?:assert|unreachable)\(|\.#?check\(\);$/.test(text)) return false;
  const isInConstructor = node.parent.parent?.kind === SyntaxKind.Constructor;
  return !(isInConstructor && /^this\.[#\w]+ = /.test(text));
}

/** `if (a > b) b = a`, `a < b ? a : b`: between equals there is nothing to choose. */
function isTie(node: BinaryExpression, source: string): boolean {
  const sides = [textOf(node.left, source), textOf(node.right, source)];
  const parent = node.parent;
  const isBoth = (a: string, b: string): boolean => sides.includes(a) && sides.includes(b) && a !== b;
  if (parent.kind === SyntaxKind.ConditionalExpression) {
    const { whenTrue, whenFalse } = parent as unknown as { whenTrue: Node; whenFalse: Node };
    return isBoth(textOf(whenTrue, source), textOf(whenFalse, source));
  }
  if (parent.kind !== SyntaxKind.IfStatement) return false;
  const { thenStatement, elseStatement } = parent as IfStatement;
  const [, to, from] = /^\{?\s*(.+) = (.+);\s*\}?$/.exec(textOf(thenStatement, source)) ?? [];
  return elseStatement === undefined && to !== undefined && from !== undefined && isBoth(to, from);
}

/** Said to people, unlike a code of one word. */
function isSentence(node: Node, source: string): boolean {
  return isText(node) && textOf(node, source).includes(' ');
}

/** A sum with a text in it. */
function isText(node: Node): boolean {
  if (node.kind === SyntaxKind.BinaryExpression) {
    const { left, right } = node as BinaryExpression;
    return isText(left) || isText(right);
  }
  return [SyntaxKind.StringLiteral, SyntaxKind.TemplateExpression, SyntaxKind.NoSubstitutionTemplateLiteral].includes(
    node.kind,
  );
}

/** Neither in a function nor in a class: a constant with a name. */
function isOfModule(node: Node): boolean {
  for (let place = node.parent; place !== undefined; place = place.parent) {
    if (INNER.includes(place.kind)) return false;
  }
  return true;
}

function textOf(node: Node, source: string): string {
  return source.slice(node.getStart(), node.end);
}

function nameOf(node: Node): string {
  return (node as unknown as { name?: { text?: string } }).name?.text ?? '';
}

/** `b` of `a.b`, or the name itself. */
function lastName(expression: Node, source: string): string {
  return /#?(\w+)$/.exec(textOf(expression, source))?.[1] ?? '';
}
