/** `funkctl members`: everybody this node knows, with role, age, state and the last sign of life. */
import type { ClusterMember } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import { durationText } from '../durations.ts';
import { type GlobalOptions, tagFilter } from '../options.ts';
import { colors } from '../colors.ts';
import { printable, printJson, printTable } from '../output.ts';

export interface MembersOptions extends GlobalOptions {
  /** Shows gossip addresses and tags too. */
  readonly tags?: boolean;
  readonly name?: string;
  readonly status?: string;
  /** `tag=regex` */
  readonly tag: readonly string[];
}

export async function showMembers(options: MembersOptions): Promise<void> {
  const { name = '', status = '', tag } = options;
  const filter = { name, status, tags: Object.fromEntries(tag.map(tagFilter)) };
  const answer = await withNode(options, (client) => client.members(filter));
  if (options.json) return printJson(answer);
  const more = options.tags === true;
  printTable([
    ['NAME', 'ROLE', 'AGE', 'STATE', 'API-ADDR', 'HEARTBEAT', ...(more ? ['ADDRESS', 'TAGS'] : [])],
    ...answer.members.map((member) => [...rowOf(member), ...(more ? addressAndTags(member) : [])]),
  ]);
}

function rowOf(member: ClusterMember): string[] {
  return [
    printable(member.name),
    member.role,
    // A Raft member that gossip has forgotten has no age.
    member.serfState === '' ? '-' : durationText(member.ageMs),
    stateText(member.serfState),
    member.managementAddress === '' ? '-' : printable(member.managementAddress),
    member.heardMsAgo < 0 ? '-' : durationText(member.heardMsAgo),
  ];
}

function stateText(state: string): string {
  if (state === '') return colors.red('forgotten');
  return state === 'failed' ? colors.red(state) : state === 'alive' ? state : colors.yellow(printable(state));
}

function addressAndTags(member: ClusterMember): string[] {
  const tags = Object.entries(member.tags).sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = tags.map(([name, value]) => printable(`${name}=${value}`));
  return [printable(member.address), [...shown, ...(member.tagsIncomplete ? ['...'] : [])].join(',')];
}
