/** Who may be asked for the whole tags of a member. */
import { TAG_STAMP } from '../model/tags.ts';
import { isPresent, type MemberRecord, type Membership } from './membership.ts';
import type { TagSources } from './tag-fetcher.ts';

/** Undefined when the member is gone, or no funknode. */
export function tagSources(membership: Membership, node: string, selfName: string): TagSources | undefined {
  const owner = membership.get(node);
  if (owner === undefined || !isFunknode(owner)) return undefined;
  const others = [...membership.records()].filter(
    (record) => record !== owner && record.name !== selfName && isFunknode(record),
  );
  return { owner: owner.address, others: others.map(({ address }) => address) };
}

/** Only funknodes have a stamp; a plain Serf agent would not know what it is asked. */
function isFunknode(record: MemberRecord): boolean {
  return isPresent(record) && record.gossipedTags.has(TAG_STAMP);
}
