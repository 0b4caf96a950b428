/** What the management client answers with: the messages of `proto/`, with tags by name and changes as one typed union. */
import type { ManageKeysResponse__Output } from '../gen/funk/v1/ManageKeysResponse.ts';
import type { Member__Output } from '../gen/funk/v1/Member.ts';
import type { Notice__Output } from '../gen/funk/v1/Notice.ts';
import type { OwnsResponse__Output } from '../gen/funk/v1/OwnsResponse.ts';
import type { PublishedEndpoint__Output } from '../gen/funk/v1/PublishedEndpoint.ts';
import type { ShardMap__Output } from '../gen/funk/v1/ShardMap.ts';
import type { Status__Output } from '../gen/funk/v1/Status.ts';
import type { Tag__Output } from '../gen/funk/v1/Tag.ts';
import type { WatchResponse__Output } from '../gen/funk/v1/WatchResponse.ts';
import type { NodeInfo__Output } from '../gen/managepb/NodeInfo.ts';

/** `endpoints` is by tag name: what the node has bound and published. */
export type NodeStatus = Omit<Status__Output, 'endpoints'> & { readonly endpoints: Readonly<Record<string, string>> };
/** A member as the asked node sees it; `ageMs` and `heardMsAgo` are ages by its clock. */
export type ClusterMember = Omit<Member__Output, 'tags'> & { readonly tags: Readonly<Record<string, string>> };
/** A node as the leader sees it, in clusterfunk's words. */
export type ClusterNode = NodeInfo__Output;
/** One endpoint that a node publishes. */
export type ClusterEndpoint = PublishedEndpoint__Output;
/** The active shard map: `ownerOf` holds, per shard, an index into `owners`. */
export type ClusterShardMap = ShardMap__Output;
/** `valid` without `owned`: the node holds a lease, and the shard is another's. */
export type ShardAnswer = OwnsResponse__Output;
/** What the members said to an operation on their keyrings; keys in base64. */
export type KeysAnswer = ManageKeysResponse__Output;
/** Something that happened, in words: for people. */
export type NodeNotice = Notice__Output;

export interface MemberList {
  /** Who was asked. */
  readonly nodeId: string;
  /** Empty when the asked node knows no leader. */
  readonly leaderId: string;
  readonly members: readonly ClusterMember[];
}

/** One message of `ManagementClient.watch`. All before `synced` is the picture as it was when the watch began. */
export type WatchChange =
  | { readonly kind: 'status'; readonly status: NodeStatus }
  /** Takes the place of all members known so far. */
  | { readonly kind: 'members'; readonly members: readonly ClusterMember[] }
  | { readonly kind: 'member'; readonly member: ClusterMember }
  | { readonly kind: 'memberRemoved'; readonly name: string }
  | { readonly kind: 'shardMap'; readonly shardMap: ClusterShardMap }
  | { readonly kind: 'notice'; readonly notice: NodeNotice }
  | { readonly kind: 'synced' };

/** Undefined for a kind that a later version may add. */
export function changeOf(message: WatchResponse__Output): WatchChange | undefined {
  const { status, members, member, memberRemoved, shardMap, notice } = message;
  if (status) return { kind: 'status', status: statusOf(status) };
  if (members) return { kind: 'members', members: members.members.map(memberOf) };
  if (member) return { kind: 'member', member: memberOf(member) };
  if (message.change === 'memberRemoved') return { kind: 'memberRemoved', name: memberRemoved ?? '' };
  if (shardMap) return { kind: 'shardMap', shardMap };
  if (notice) return { kind: 'notice', notice };
  return message.change === 'synced' ? { kind: 'synced' } : undefined;
}

export function statusOf(status: Status__Output): NodeStatus {
  return { ...status, endpoints: byName(status.endpoints) };
}

export function memberOf(member: Member__Output): ClusterMember {
  return { ...member, tags: byName(member.tags) };
}

function byName(tags: readonly Tag__Output[]): Readonly<Record<string, string>> {
  return Object.fromEntries(tags.map(({ name, value }) => [name, value]));
}
