/** Agreement through a standalone etcd, as a node is told of it. */
import type { ClusterId } from '../model/ids.ts';

export interface EtcdLogConfig {
  /** All keys lie below it: `/funknode/<cluster>`. No slash at its end. */
  readonly prefix: string;
  /** Of the leader's lease: so long after a leader's death, at most and about, the next one is elected. Whole seconds, 2 to 60. */
  readonly ttlSeconds: number;
  /** Largest part by which two clocks may differ in rate. */
  readonly clockDrift: number;
  /** May lead, as things are; others only follow. */
  mayLead(): boolean;
  /** What this node founds when there is nothing below the prefix: a new id, and the command that a log begins with. */
  found(): { readonly clusterId: ClusterId; readonly command: Uint8Array };
  /** Where etcd is, for people. */
  readonly where: string;
}
