/**
 * All mutants of a file in one file, each behind a switch: `a < b` becomes `($m(7) ? (a <= b) : $m(8) ? (a >= b) : (a < b))`. So tests
 * are loaded once and tried with one mutant after the other, and those that never pass a mutant need not be run against it
 * (mutant schemata, Untch, Offutt and Harrold 1993).
 */
import { type Node, SyntaxKind } from 'typescript/unstable/ast';
import type { Edit } from './operators.ts';

/** Asked by the switched code, with the number of a mutant: whether it is on. */
export const SWITCH = '$m';

/** `source` with all `edits` in it, numbered from `first`. */
export function withSwitches(tree: Node, source: string, edits: readonly Edit[], first: number): string {
  const anchored = new Map<Node, { readonly number: number; readonly edit: Edit }[]>();
  for (const [place, edit] of edits.entries()) {
    const here = anchored.get(edit.anchor) ?? [];
    here.push({ number: first + place, edit });
    anchored.set(edit.anchor, here);
  }
  const rewritten = (node: Node): string => {
    let text = '';
    let at = node.getStart();
    node.forEachChild((child) => {
      const start = child.getStart();
      if (start < at) throw new Error(`not in order: ${source.slice(start, child.end)}`);
      text += source.slice(at, start) + rewritten(child);
      at = child.end;
      return undefined;
    });
    text += source.slice(at, node.end);
    const here = anchored.get(node);
    if (here === undefined) return text;
    // Braces, so that an `else` stays with the `if` it belongs to.
    if (node.kind === SyntaxKind.ExpressionStatement) return `{ if (!${SWITCH}(${here[0]?.number})) { ${text} } }`;
    const others = here.map(({ number, edit }) => {
      const changed = source.slice(node.getStart(), edit.start) + edit.text + source.slice(edit.end, node.end);
      return `${SWITCH}(${number}) ? (${changed}) : `;
    });
    return `(${others.join('')}(${text}))`;
  };
  return source.slice(0, tree.getStart()) + rewritten(tree) + source.slice(tree.end);
}
