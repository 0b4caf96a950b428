/** What a node keeps its promises in, be it a directory (`data-directory.ts`) or memory alone (`memory-log.ts`). */
import type { Dissolution } from '../model/dissolution.ts';
import type { MemberId, NodeId, Stamp } from '../model/ids.ts';
import type { StorageStats } from '../model/node-stats.ts';
import type { LogStore } from '../ports/log-store.ts';

export interface NodeStorage {
  readonly nodeId: NodeId;
  readonly stamp: Stamp;
  readonly memberId: MemberId;
  readonly log: LogStore;
  /** What earlier members on it gave up as the only voters of their clusters. */
  readonly dissolutions: readonly Dissolution[];
  /** The newest configuration found names this member as a voter. */
  readonly hasVote: boolean;
  stats(): Readonly<StorageStats>;
  release(): Promise<void>;
}

/** 16 hex digits. */
export function randomHex(draw: (count: number) => Uint8Array): string {
  return Buffer.from(draw(8)).toString('hex');
}
