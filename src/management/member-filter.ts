/** Which members are asked for: name, status and tags by regular expressions that must fit the whole of the value, as Serf's filters do. */
import { compilePattern, PATTERN_LENGTH_MAX } from '../base/pattern.ts';
import type { ListMembersRequest__Output } from '../gen/funk/v1/ListMembersRequest.ts';
import type { Member } from '../gen/funk/v1/Member.ts';
import { InvalidRequestError } from './errors.ts';

type Test = (text: string) => boolean;

/** Everyone passes a request without filters. @throws {InvalidRequestError} for an expression that cannot be used. */
export function memberFilter({ name, status, tags }: ListMembersRequest__Output): (member: Member) => boolean {
  const isNamed = wholeOf('name', name);
  const isInState = wholeOf('status', status);
  const wanted = tags.map((tag) => [tag.name, wholeOf(`tag ${tag.name}`, tag.value)] as const);
  return (member) =>
    isNamed(member.name ?? '') &&
    isInState(member.serfState ?? '') &&
    wanted.every(([tag, fits]) => fits(member.tags?.find((held) => held.name === tag)?.value ?? ''));
}

/** These come from the network: they are matched without backtracking. */
function wholeOf(what: string, expression: string): Test {
  if (expression === '') return () => true;
  const test = compilePattern(`^(?:${expression})$`);
  if (test !== undefined) return test;
  throw new InvalidRequestError(
    `the filter of ${what} is no regular expression in RE2 syntax of at most ${PATTERN_LENGTH_MAX} characters: ${expression}`,
  );
}
