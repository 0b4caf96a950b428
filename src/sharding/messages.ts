/** The vocabulary of shard ownership. Rules: docs/ownership.md (`O-n`). */
import type { Boot, LogIndex, NodeId, ShardId, Term } from '../model/ids.ts';
import type { FormerOwner, OwnerPair, ReleaseEnd, ShardMap } from '../model/shard-map.ts';
import type { LeaseMessage, LeaseRefusalReason } from '../wire/sharding/lease.ts';
import type { ShardCommand, WrittenShardCommand } from '../wire/sharding/map-entry.ts';
import type { NodeTraits } from './seats.ts';
import type { Hold } from './flapping.ts';

export type { LeaseMessage, LeaseRefusalReason, LeaseRenew } from '../wire/sharding/lease.ts';
export type { ShardCommand, ShardCommit, WrittenShardCommand } from '../wire/sharding/map-entry.ts';

export type { NodeTraits } from './seats.ts';

export type ShardingInput =
  /** The Raft role changed. `ready`: own noop is applied. */
  | {
      readonly kind: 'leadership';
      readonly isLeader: boolean;
      readonly isReady: boolean;
      readonly term: Term;
      readonly electedAt: number;
      /** O-15: the predecessor that certainly rested on its leader lease and never held a grant here; else undefined. */
      readonly restedOnLease: NodeId | undefined;
      /** The predecessor, whatever is known of its lease (O-19 gives it 150 ms). */
      readonly predecessor: NodeId | undefined;
    }
  /** The leader lease reaches further, or has ended (-Infinity). */
  | { readonly kind: 'leaderLease'; readonly until: number }
  /** Granting and own shards stop when `TimeoutNow` leaves (O-4, O-9). */
  | { readonly kind: 'transferring'; readonly active: boolean }
  /** Whom to send renewals to; undefined when no leader is known. */
  | { readonly kind: 'leaderKnown'; readonly leader: NodeId | undefined; readonly term: Term }
  /** A frame of the leader is being answered: a renewal that goes along costs neither side a wake-up (O-8). */
  | { readonly kind: 'leaderHeard' }
  /** Everything in the log is applied (O-22), or not. Told whenever it changes while leading. */
  | { readonly kind: 'logSettled'; readonly settled: boolean }
  /** A shard command at `index` was applied. */
  | { readonly kind: 'applied'; readonly index: LogIndex; readonly term: Term; readonly command: ShardCommand }
  /** The state machine has applied everything through `index`, whatever it was. Comes after `applied`. */
  | { readonly kind: 'appliedTo'; readonly index: LogIndex }
  /** A snapshot replaced the map state by this image (O-7, C-20). */
  | { readonly kind: 'imageInstalled'; readonly index: LogIndex; readonly image: Uint8Array }
  | { readonly kind: 'received'; readonly message: LeaseMessage }
  /** What the liveness checker believes; hastens planning, never makes anyone gone (O-19). */
  | { readonly kind: 'livenessChanged'; readonly node: NodeId; readonly alive: boolean }
  /** The voters of the newest configuration: `dirLocked` counts for them only (O-13). */
  | { readonly kind: 'votersChanged'; readonly nodes: readonly NodeId[] }
  /** Who is around and may come to hold a lease: once all of them do, a first map waits for nobody else. */
  | { readonly kind: 'expected'; readonly nodes: readonly NodeId[] }
  /** What the nodes say of themselves: all that are known. Counts for the leader, and is told whenever it changes while leading. */
  | { readonly kind: 'traits'; readonly nodes: ReadonlyMap<NodeId, NodeTraits> }
  /** The application has released what `release` of this version asked for. */
  | { readonly kind: 'released'; readonly version: LogIndex }
  /** The application is ready to serve these, which `start` named under this epoch. Counts with `startsLoading` only. */
  | { readonly kind: 'acquired'; readonly shards: readonly ShardId[]; readonly epoch: LogIndex }
  /** clusterfunk's acknowledgement of a map, which names no boot; `Sharding.confirm` says whether it was of use. */
  | { readonly kind: 'confirmed'; readonly node: NodeId; readonly version: LogIndex }
  | { readonly kind: 'clockJumped'; readonly byMs: number }
  /** The cluster's lease and clock rate error, which go before the node's own. */
  | { readonly kind: 'timing'; readonly leaseMs: number; readonly clockDrift: number }
  /** Give this node's shards away (O-23), or take that back. */
  | { readonly kind: 'drain' | 'undrain' }
  /** Orderly stop: send `release` after the last request; serve nothing from now on. */
  | { readonly kind: 'stopping' };

export type ShardingEffect =
  /** To the leader; `cluster/` finds the way (directly, or through the voter whose stream we follow). */
  | { readonly kind: 'sendToLeader'; readonly message: LeaseMessage }
  /** To a holder. */
  | { readonly kind: 'sendToHolder'; readonly node: NodeId; readonly message: LeaseMessage }
  /** Leader only: put this in the log. It may be refused; the coordinator asks again by its own deadlines. */
  | { readonly kind: 'append'; readonly command: WrittenShardCommand }
  /** New work on these shards has stopped; the application drains and `released{version}` comes back. */
  | {
      readonly kind: 'release';
      readonly shards: readonly ShardId[];
      /** Under which epoch this process served each of `shards`. */
      readonly epochs: readonly LogIndex[];
      /** Who is to have each of `shards`; undefined when no map that is known here says so. */
      readonly to: readonly (OwnerPair | undefined)[];
      readonly version: LogIndex;
      readonly deadline: number;
    }
  /** What `release` of this version asked for is of no use any more. */
  | { readonly kind: 'releaseOver'; readonly version: LogIndex; readonly reason: ReleaseEnd }
  | {
      readonly kind: 'start';
      readonly shards: readonly ShardId[];
      readonly epoch: LogIndex;
      /** Who had each of `shards` by the map before; undefined when that is not known here, or nobody had. */
      readonly from: readonly (FormerOwner | undefined)[];
      /** They were to be given up, and stay here after all (O-6). */
      readonly isResumed: boolean;
    }
  /** What `owns()` reads: served while `now + jump < until`. -Infinity: no lease. */
  | { readonly kind: 'publishLease'; readonly until: number }
  | { readonly kind: 'notify'; readonly event: ShardingEvent };

export type ShardingEvent =
  | { readonly kind: 'mapProposed'; readonly version: LogIndex }
  | { readonly kind: 'mapChanged'; readonly map: ShardMap }
  | { readonly kind: 'proposalVoided'; readonly version: LogIndex }
  | { readonly kind: 'leaseGained' | 'leaseLost' }
  | { readonly kind: 'refused'; readonly reason: LeaseRefusalReason }
  | { readonly kind: 'holderGone'; readonly node: NodeId; readonly boot: Boot }
  /** Leader only: it died again, and is given no shards for a while. */
  | ({ readonly kind: 'held' } & Hold)
  /** The leader's clock and this node's run unlike, for certain; or do not any more. */
  | { readonly kind: 'clocksApart'; readonly isApart: boolean }
  | { readonly kind: 'drained' };
