/** Names and numbers that must not be mixed up. A brand costs nothing at run time. */

declare const brand: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** What an operator calls a node: letters, digits, `-`, `.`, `_`; 1 to 64 bytes. Its Serf name too. */
export type NodeId = Brand<string, 'NodeId'>;
/** Random, minted with each empty data directory: 16 hex digits. */
export type Stamp = Brand<string, 'Stamp'>;
/** A Raft member: `id@stamp`. A name that returns with an empty directory is another member. */
export type MemberId = Brand<string, 'MemberId'>;
/** Random, minted when a cluster is founded: 16 bytes in base64url, 22 characters. */
export type ClusterId = Brand<string, 'ClusterId'>;
/** Random 53-bit number minted at process start; with the node id it names a shard's owner. */
export type Boot = Brand<number, 'Boot'>;
/** Raft term; 0 means none. */
export type Term = Brand<number, 'Term'>;
/** Raft log index; 0 means before the first entry. */
export type LogIndex = Brand<number, 'LogIndex'>;
/** 0 to shard count - 1. */
export type ShardId = Brand<number, 'ShardId'>;
/** Pairs a request with the one reply it ends in. */
export type RequestId = Brand<number, 'RequestId'>;
/** A TCP stream of gossip. Streams that we open have even numbers, streams that peers open odd ones. */
export type StreamId = Brand<number, 'StreamId'>;

export const NO_TERM: Term = 0 as Term;
export const NO_INDEX: LogIndex = 0 as LogIndex;

const NODE_ID = /^[A-Za-z0-9._-]{1,64}$/;
const STAMP = /^[0-9a-f]{16}$/;
const CLUSTER_ID = /^[A-Za-z0-9_-]{22}$/;

export function isNodeId(text: string): text is NodeId {
  return NODE_ID.test(text);
}

export function isStamp(text: string): text is Stamp {
  return STAMP.test(text);
}

export function isClusterId(text: string): text is ClusterId {
  return CLUSTER_ID.test(text);
}

export function memberId(id: NodeId, stamp: Stamp): MemberId {
  return `${id}@${stamp}` as MemberId;
}

export function isMemberId(text: string): text is MemberId {
  const at = text.lastIndexOf('@');
  return at > 0 && isNodeId(text.slice(0, at)) && isStamp(text.slice(at + 1));
}

/** The node id inside a member id. */
export function nodeIdOf(member: MemberId): NodeId {
  return member.slice(0, member.lastIndexOf('@')) as NodeId;
}

export function stampOf(member: MemberId): Stamp {
  return member.slice(member.lastIndexOf('@') + 1) as Stamp;
}
