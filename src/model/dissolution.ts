/** That a cluster is no more: its only voter gave it up for another. */
import type { ClusterId, MemberId } from './ids.ts';

/**
 * Written by the member that was the only voter, outside of any joint configuration, when it set its data aside. Nothing can have been
 * agreed beside it: the first step of every change away from it needed its own disk.
 */
export interface Dissolution {
  readonly clusterId: ClusterId;
  /** The member that it was. Nobody comes back under that stamp. */
  readonly member: MemberId;
}

/** A node remembers so many: who still has to be told of older ones asks an operator. */
export const DISSOLUTIONS_MAX = 8;
