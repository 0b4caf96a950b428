/** The cores of one membership, and the ways the parts around them share. Replaced as a whole when a cluster dissolves. */
import type { MemberId } from '../model/ids.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import type { Holding } from './holding.ts';
import type { KvDesk } from './kv-desk.ts';
import type { ClusterEffect } from './messages.ts';
import type { PermitDesk } from './permit-desk.ts';
import type { Replica } from './replica.ts';
import type { Steward } from './steward.ts';

export interface Core {
  readonly self: MemberId;
  readonly replica: Replica;
  readonly holding: Holding;
  readonly steward: Steward;
  readonly permits: PermitDesk;
  readonly kv: KvDesk;
}

export function notify(event: NodeEvent, effects: ClusterEffect[]): void {
  effects.push({ kind: 'notify', event });
}

export function drop(where: string, reason: string, effects: ClusterEffect[]): void {
  notify({ kind: 'dropped', where, reason }, effects);
}

/** Messages that only a member of the Raft group can take. */
export function isForRaft(message: PeerMessage): boolean {
  return message.kind === 'raft' || (message.kind === 'snapshotChunk' && message.forRaft);
}
