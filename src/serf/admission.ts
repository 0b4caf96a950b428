/** Who may be a member, and who may take over a name. Asked by the SWIM core before it believes a claim. */
import { equalBytes } from '../base/bytes.ts';
import { TAG_CLUSTER_ID, TAG_STAMP } from '../model/tags.ts';
import type { SwimClaim, SwimMember } from '../swim/messages.ts';
import { decodeTags } from '../wire/serf/tags.ts';

/**
 * The text of a refusal when a node with these tags must not be a member here; undefined when it is welcome. A pure function:
 * it is asked again and again about the same node.
 */
export type MergeFilter = (tags: ReadonlyMap<string, string>, name: string) => string | undefined;

export interface AdmissionOptions {
  readonly selfName: string;
  readonly mergeFilter: MergeFilter | undefined;
  /** Refuse names that newer agents may refuse: what is not a letter, a digit, a dash or a dot, and more than 128 bytes. */
  readonly validatesNames: boolean;
  /** The row that gossip holds of a name. */
  readonly held: (name: string) => SwimMember | undefined;
}

const VALID_NAME = /^[A-Za-z0-9.-]{1,128}$/;
const NO_TAGS: ReadonlyMap<string, string> = new Map();

export class Admission {
  readonly #selfName: string;
  readonly #mergeFilter: MergeFilter | undefined;
  readonly #validatesNames: boolean;
  readonly #held: (name: string) => SwimMember | undefined;

  constructor({ selfName, mergeFilter, validatesNames, held }: AdmissionOptions) {
    this.#selfName = selfName;
    this.#mergeFilter = mergeFilter;
    this.#validatesNames = validatesNames;
    this.#held = held;
  }

  /** One foreign member that is present makes the whole exchange unwelcome: two clusters must not run into each other. */
  refuseMerge(claims: readonly SwimClaim[]): string | undefined {
    for (const claim of claims) {
      if (claim.state !== 'alive' && claim.state !== 'suspect') continue;
      const refusal = this.refuseAlive(claim);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  refuseAlive(claim: SwimClaim): string | undefined {
    if (claim.name === this.#selfName) return undefined;
    if (this.#validatesNames && !VALID_NAME.test(claim.name))
      return `the name ${JSON.stringify(claim.name)} is not made of letters, digits, dashes and dots`;
    if (this.#mergeFilter === undefined) return undefined;
    const held = this.#held(claim.name);
    if (held !== undefined && equalBytes(held.meta, claim.meta)) return undefined;
    return this.#mergeFilter(decodeTags(claim.meta) ?? NO_TAGS, claim.name);
  }

  /**
   * The name of a member that is gone is free at once. That of one that we hold for present, ourselves included, is free for the
   * same node alone: one with the stamp of the same data directory, started again at another address before anyone missed it.
   */
  mayReclaim(held: SwimMember, claim: SwimClaim): boolean {
    return held.state === 'dead' || held.state === 'left' || isSameNode(held.meta, claim.meta);
  }
}

/**
 * Whether the process that claims the name may have it from one that answers nobody: both are funknodes of one cluster, as far as they say.
 * A plain Serf agent's name goes on after its failure only, as agents do it.
 */
export function mayFollow(heldMeta: Uint8Array, claimedMeta: Uint8Array): boolean {
  const held = decodeTags(heldMeta) ?? NO_TAGS;
  const claimed = decodeTags(claimedMeta) ?? NO_TAGS;
  if (!held.has(TAG_STAMP) || !claimed.has(TAG_STAMP)) return false;
  const cluster = claimed.get(TAG_CLUSTER_ID);
  // One that was started again without data has no cluster yet.
  return cluster === undefined || cluster === held.get(TAG_CLUSTER_ID);
}

/** Whether two sets of tags are of one data directory: a stamp is 64 random bits. */
export function isSameNode(heldMeta: Uint8Array, claimedMeta: Uint8Array): boolean {
  const held = decodeTags(heldMeta) ?? NO_TAGS;
  const claimed = decodeTags(claimedMeta) ?? NO_TAGS;
  const stamp = held.get(TAG_STAMP);
  if (stamp === undefined || stamp !== claimed.get(TAG_STAMP)) return false;
  const cluster = held.get(TAG_CLUSTER_ID);
  const claimedCluster = claimed.get(TAG_CLUSTER_ID);
  // A node without a cluster may have found one since.
  return cluster === undefined || claimedCluster === undefined || cluster === claimedCluster;
}
