/** What the management client answers with: the messages of `proto/`, with tags by name and changes as one typed union. */
import type { ManageKeysResponse__Output } from '../gen/funk/v1/ManageKeysResponse.ts';
import type { ListMembersRequest } from '../gen/funk/v1/ListMembersRequest.ts';
import type { Member__Output } from '../gen/funk/v1/Member.ts';
import type { Notice__Output } from '../gen/funk/v1/Notice.ts';
import type { OwnsResponse__Output } from '../gen/funk/v1/OwnsResponse.ts';
import type { PublishedEndpoint__Output } from '../gen/funk/v1/PublishedEndpoint.ts';
import type { QueryRequest } from '../gen/funk/v1/QueryRequest.ts';
import type { QueryResponse__Output } from '../gen/funk/v1/QueryResponse.ts';
import type { RoundTripResponse__Output } from '../gen/funk/v1/RoundTripResponse.ts';
import type { ShardMap__Output } from '../gen/funk/v1/ShardMap.ts';
import type { ShardMapDelta__Output } from '../gen/funk/v1/ShardMapDelta.ts';
import type { Status__Output } from '../gen/funk/v1/Status.ts';
import type { Tag__Output } from '../gen/funk/v1/Tag.ts';
import type { WatchResponse__Output } from '../gen/funk/v1/WatchResponse.ts';
import type { NodeInfo__Output } from '../gen/managepb/NodeInfo.ts';
import { DecodeError } from '../base/errors.ts';
import { NO_STANDBY } from '../model/shard-map.ts';
import { decodeMap } from '../wire/sharding/map-image.ts';
import type { ShardSettingsAnswer } from './client-shards.ts';

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
/** What is different in a map from the one of `sinceVersion`. */
export type ClusterShardMapDelta = ShardMapDelta__Output;
/** `valid` without `owned`: the node holds a lease, and the shard is another's. */
export type ShardAnswer = OwnsResponse__Output;
/** What the members said to an operation on their keyrings; keys in base64. */
export type KeysAnswer = ManageKeysResponse__Output;
/** Between `from` and `to`, there and back. */
export type RoundTripEstimate = RoundTripResponse__Output;
/** Something that happened, in words: for people. */
export type NodeNotice = Notice__Output;

/** Whom is asked what. All filters must hold; without any, everyone is asked. */
export interface QueryQuestion {
  readonly name: string;
  readonly payload?: Uint8Array;
  readonly nodes?: readonly string[];
  /** Regular expressions (RE2), by tag. */
  readonly tags?: Readonly<Record<string, string>>;
  /** True unless given. */
  readonly wantsAck?: boolean;
  /** 0 to 5. */
  readonly relayFactor?: number;
  /** Serf's default unless given: it grows with the cluster. */
  readonly timeoutMs?: number;
}

export type QueryMessage =
  | { readonly kind: 'ack'; readonly from: string }
  | { readonly kind: 'response'; readonly from: string; readonly payload: Uint8Array }
  | { readonly kind: 'end'; readonly acks: number; readonly responses: number };

/** Regular expressions (RE2); each must fit the whole value, and all must. */
export interface MemberQuestion {
  readonly name?: string;
  /** Of `none`, `alive`, `leaving`, `left`, `failed`. */
  readonly status?: string;
  /** By tag; one that a member does not have counts as empty. */
  readonly tags?: Readonly<Record<string, string>>;
}

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
  /** Only to a watcher that has a map: `withDelta` makes the next one of it. */
  | { readonly kind: 'shardMapDelta'; readonly delta: ClusterShardMapDelta }
  | { readonly kind: 'shardSettings'; readonly settings: ShardSettingsAnswer }
  | { readonly kind: 'notice'; readonly notice: NodeNotice }
  | { readonly kind: 'synced' };

/** Undefined for a kind that a later version may add. */
export function changeOf(message: WatchResponse__Output): WatchChange | undefined {
  const { status, members, member, memberRemoved, shardMap, shardMapDelta, shardSettings, notice } = message;
  if (status) return { kind: 'status', status: statusOf(status) };
  if (members) return { kind: 'members', members: members.members.map(memberOf) };
  if (member) return { kind: 'member', member: memberOf(member) };
  if (message.change === 'memberRemoved') return { kind: 'memberRemoved', name: memberRemoved ?? '' };
  if (shardMap) return { kind: 'shardMap', shardMap: unpacked(shardMap) };
  if (shardMapDelta) return { kind: 'shardMapDelta', delta: shardMapDelta };
  if (shardSettings) return { kind: 'shardSettings', settings: shardSettings };
  if (notice) return { kind: 'notice', notice };
  return message.change === 'synced' ? { kind: 'synced' } : undefined;
}

/** A map as if it had come with every shard named. Throws {@link DecodeError} when the node sent what is none. */
export function unpacked(map: ShardMap__Output): ShardMap__Output {
  if (map.packed.length === 0) return map;
  const read = decodeMap(map.packed);
  if (read instanceof DecodeError) throw read;
  return {
    ...map,
    ownerOf: Array.from(read.ownerOf),
    epochs: Array.from(read.epochs),
    standbys: (read.standbys ?? []).map((column) => ({
      ownerOf: Array.from(column, (place) => (place === NO_STANDBY ? 0 : place + 1)),
    })),
    packed: Buffer.alloc(0),
  };
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

export function questionMessage(question: QueryQuestion): QueryRequest {
  const { name, payload, nodes = [], tags = {}, wantsAck = true, relayFactor = 0, timeoutMs = 0 } = question;
  return {
    name,
    payload: Buffer.from(payload ?? []),
    nodes: [...nodes],
    tags: Object.entries(tags).map(([tag, value]) => ({ name: tag, value })),
    wantsAck,
    relayFactor,
    timeoutMs,
  };
}

export function memberQuestion({ name = '', status = '', tags = {} }: MemberQuestion): ListMembersRequest {
  return { name, status, tags: Object.entries(tags).map(([tag, value]) => ({ name: tag, value })) };
}

/** Undefined for a message of a newer version that we do not know. */
export function queryMessageOf({ ack, response, end }: QueryResponse__Output): QueryMessage | undefined {
  if (ack !== null && ack !== undefined) return { kind: 'ack', from: ack.from };
  if (response !== null && response !== undefined)
    return { kind: 'response', from: response.from, payload: response.payload };
  return end === null || end === undefined ? undefined : { kind: 'end', acks: end.acks, responses: end.responses };
}
