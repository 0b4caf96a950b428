/** The well-known gossip tags. Values of `ep.*` are `host:port`. */

export const TAG_SERVICE_NAME = 'meta.serviceName';
/** Cluster id in base64url; absent while a node is undecided. */
export const TAG_CLUSTER_ID = 'fn.cid';
/** `voter`, `non-voter` or `non-member`. */
export const TAG_ROLE = 'fn.role';
/** The stamp of the node's data directory: with its id the Raft member it is. */
export const TAG_STAMP = 'fn.stamp';

/** A node's share of the shards beside the others', when it is not 1. */
export const TAG_WEIGHT = 'fn.weight';
/** Where a node would fail together with others. */
export const TAG_ZONE = 'zone';

/** Not a tag of its own: gossip carries a part of the node's tags, and this names the whole set (wire/serf/tag-set.ts). */
export const TAG_SET = 'fn.tags';

/** `low` or `full` while the disk of a voter has no room for its log; absent else. */
export const TAG_STORAGE = 'fn.storage';

/** Why a voter should not lead, as an {@link Ailment}; absent while nothing ails it. */
export const TAG_AILMENT = 'fn.ailment';
/** How much the operator wants a voter to lead, a whole number; absent for 0. */
export const TAG_PRIORITY = 'fn.priority';

export const TAG_EP_SERF = 'ep.serf';
export const TAG_EP_RAFT = 'ep.raft';
export const TAG_EP_LIVENESS = 'ep.liveness';
export const TAG_EP_HTTP = 'ep.http';
/** The name that clusterfunk's last control tool looks for; ours is answered from it. */
export const TAG_EP_MANAGEMENT = 'ep.clusterfunk.management';

/** Without these in gossip itself nobody knows the node for what it is. */
export const ESSENTIAL_TAGS: readonly string[] = [TAG_SERVICE_NAME, TAG_EP_RAFT, TAG_STAMP, TAG_ROLE, TAG_CLUSTER_ID];

/**
 * When not all tags fit into gossip, these go first, in this order; then other endpoints, then the rest, each by name. Plain Serf agents and
 * clusterfunk's tools see no others.
 */
export const META_ORDER: readonly string[] = [
  ...ESSENTIAL_TAGS,
  TAG_EP_LIVENESS,
  TAG_EP_SERF,
  TAG_EP_MANAGEMENT,
  TAG_EP_HTTP,
  TAG_ZONE,
  TAG_WEIGHT,
  'role',
  'ep.management',
  'ep.metrics',
];

/** Names that are answered from another tag unless they are published themselves (product.md, Endpoints). */
export const ENDPOINT_ALIASES: Readonly<Record<string, string>> = {
  'ep.management': TAG_EP_MANAGEMENT,
  'ep.metrics': TAG_EP_HTTP,
};
