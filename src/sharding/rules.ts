/**
 * The decisions on which "no two owners" hangs, each as one pure function. They are apart so that the model test can replace one by a
 * planted mistake and show that it is found (docs/ownership.md section 8). Nothing else ever passes rules of its own.
 */
import type { LogIndex } from '../model/ids.ts';
import type { OwnerPair } from '../model/shard-map.ts';

export type { OwnerPair } from '../model/shard-map.ts';

export interface OwnershipRules {
  /** Section 1: a restarted process is another owner. */
  isSameOwner(a: OwnerPair, b: OwnerPair): boolean;
  /** O-1: `byPending` is undefined when no map is pending. */
  mayServe(byActive: boolean, byPending: boolean | undefined): boolean;
  /** O-2: the instant from which a grant counts. */
  grantCountsFrom(grant: { readonly sentAt: number; readonly receivedAt: number }): number;
  /** O-3: what is left of a grant and of the open requests in the step in which a leader becomes ready. */
  keepsAtReadiness(what: 'grant' | 'openRequests'): boolean;
  /** O-9. */
  mayGrant(leader: {
    readonly isReady: boolean;
    readonly isTransferring: boolean;
    readonly holdsLease: boolean;
  }): boolean;
  /** O-11: `active` is the version of the active map, `appended` the newest one for which a commit was appended. */
  floor(versions: { readonly active: LogIndex; readonly appended: LogIndex }): LogIndex;
  /** O-13: `seenAfter` is whether the new boot has shown that it lived after the old one was last heard. */
  isProvenDead(oldBoot: {
    readonly newLocked: boolean;
    readonly isVoter: boolean;
    readonly seenAfter: boolean;
  }): boolean;
  /** O-14: when a holder without a record may have been granted its last lease. */
  lastGrantAt(times: { readonly electedAt: number; readonly recordedAt: number | undefined }): number;
  /** O-17: whether a holder that says it released `released` has released `version`. */
  isAcknowledged(released: LogIndex, version: LogIndex): boolean;
}

export const OWNERSHIP_RULES: OwnershipRules = {
  isSameOwner: (a, b) => a.node === b.node && a.boot === b.boot,
  mayServe: (byActive, byPending) => byActive && byPending !== false,
  grantCountsFrom: (grant) => grant.sentAt,
  keepsAtReadiness: () => false,
  mayGrant: (leader) => leader.isReady && !leader.isTransferring && leader.holdsLease,
  floor: (versions) => (versions.active > versions.appended ? versions.active : versions.appended),
  isProvenDead: (oldBoot) => oldBoot.newLocked && oldBoot.isVoter && oldBoot.seenAfter,
  lastGrantAt: (times) => Math.max(times.electedAt, times.recordedAt ?? Number.NEGATIVE_INFINITY),
  isAcknowledged: (released, version) => released === version,
};
