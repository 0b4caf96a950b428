/** Endpoints as gossip tells them: the `ep.*` tags of members, and the names that are answered from another tag. */
import type { MemberStatus } from '../model/member.ts';
import type { MemberView } from '../model/node-view.ts';
import { ENDPOINT_ALIASES, TAG_SERVICE_NAME } from '../model/tags.ts';

export interface DirectoryEntry {
  readonly node: string;
  /** `meta.serviceName`, empty when the member has none. */
  readonly service: string;
  readonly name: string;
  readonly address: string;
  /** The tag it was answered from; empty when published by this very name. */
  readonly aliasOf: string;
  readonly status: MemberStatus;
}

export interface DirectoryQuery {
  /** A fragment of the name, with or without `ep.`; empty for all. */
  readonly fragment: string;
  readonly members: 'alive' | 'all';
}

/** Sorted by node, then by name. */
export function lookUpEndpoints(members: readonly MemberView[], query: DirectoryQuery): readonly DirectoryEntry[] {
  return members
    .filter((member) => query.members === 'all' || member.status === 'alive')
    .flatMap((member) => entriesOf(member))
    .filter((entry) => entry.name.includes(query.fragment))
    .sort((a, b) => compare(a.node, b.node) || compare(a.name, b.name));
}

/** The address that `member` answers `name` with; empty when it publishes none. */
export function endpointOf(member: MemberView, name: string): string {
  return member.tags.get(name) ?? member.tags.get(ENDPOINT_ALIASES[name] ?? '') ?? '';
}

function entriesOf(member: MemberView): DirectoryEntry[] {
  const published = [...member.tags.keys()].filter((tag) => tag.startsWith('ep.'));
  const aliases = Object.entries(ENDPOINT_ALIASES).filter(
    ([alias, tag]) => !member.tags.has(alias) && member.tags.has(tag),
  );
  const service = member.tags.get(TAG_SERVICE_NAME) ?? '';
  const entry = (name: string, aliasOf: string): DirectoryEntry => ({
    node: member.name,
    service,
    name,
    address: endpointOf(member, name),
    aliasOf,
    status: member.status,
  });
  return [...published.map((name) => entry(name, '')), ...aliases.map(([alias, tag]) => entry(alias, tag))];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
