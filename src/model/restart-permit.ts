/** The right to restart one node, of which a cluster has one at a time. Agreed on through the log. */
import type { Boot, LogIndex, NodeId } from './ids.ts';

export interface RestartPermit {
  /** Whoever took it, by the name that was given. */
  readonly holder: string;
  /** The node that is to be restarted. */
  readonly node: NodeId;
  /** Its process at that time; 0 when none was known. Another one that is back in its place ends the permit. */
  readonly boot: Boot;
  /** How long it lasts, counted anew by each leader. Milliseconds. */
  readonly leaseMs: number;
  /** Log index at which it was taken. */
  readonly index: LogIndex;
}

export const PERMIT_HOLDER_BYTES_MAX = 64;
export const PERMIT_LEASE_MS_MIN = 1_000;
export const PERMIT_LEASE_MS_MAX: number = 24 * 60 * 60 * 1_000;
