/** A gossip member as Serf shows it. */
import type { Endpoint } from './endpoint.ts';

export type MemberStatus = 'none' | 'alive' | 'leaving' | 'left' | 'failed';

export interface Member {
  /** Any peer's Serf name; a funknode's is its NodeId. */
  readonly name: string;
  readonly address: Endpoint;
  readonly status: MemberStatus;
  readonly tags: ReadonlyMap<string, string>;
  /** False while gossip says that there are more tags, and they have not been fetched: `tags` are those that are known. */
  readonly tagsComplete: boolean;
  /** Memberlist's and Serf's version bytes: min, max, current of each (wire-gossip 3.1). */
  readonly versions: readonly number[];
}
