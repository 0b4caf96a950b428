/** `members-filtered`: regular expressions on name, status and tags, each for the whole text. wire-gossip.md 20.3. */
import { compilePattern } from '../base/pattern.ts';
import type { Member } from '../model/member.ts';

export interface MemberFilter {
  readonly name: string;
  readonly status: string;
  /** A tag that a member lacks counts as empty. */
  readonly tags: ReadonlyMap<string, string>;
}

/** The members that pass; undefined when an expression is none. */
export function filterMembers<M extends Member>(
  members: readonly M[],
  { name, status, tags }: MemberFilter,
): M[] | undefined {
  const byName = whole(name);
  const byStatus = whole(status);
  const byTags = [...tags].map(([tag, expression]) => ({ tag, matches: anchored(expression) }));
  if (byName === undefined || byStatus === undefined) return undefined;
  if (byTags.some(({ matches }) => matches === undefined)) return undefined;
  return members.filter(
    (member) =>
      byName(member.name) &&
      byStatus(member.status) &&
      byTags.every(({ tag, matches }) => matches?.(member.tags.get(tag) ?? '')),
  );
}

function whole(expression: string): ((text: string) => boolean) | undefined {
  return expression === '' ? () => true : anchored(expression);
}

function anchored(expression: string): ((text: string) => boolean) | undefined {
  // Agents put the anchors around the bare text: `a|b` then is `^a` or `b$`.
  return compilePattern(`^${expression}$`);
}
