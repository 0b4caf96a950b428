/** What an application is asked when shards come and go. Public; `shard-hook-calls.ts` does the asking. */
import { FunkError } from '../base/errors.ts';
import type { LogIndex, ShardId } from '../model/ids.ts';
import type { FormerOwner, OwnerPair, ReleaseEnd } from '../model/shard-map.ts';

/** A shard that is to be given up. */
export interface ReleasedShard {
  readonly shard: ShardId;
  /** The fencing token under which it was served here. */
  readonly epoch: LogIndex;
  /** Who is to have it: node id and start of the process. Undefined when nobody is known to. */
  readonly to: OwnerPair | undefined;
}

/** One asking for shards, until it is answered or void. */
export interface ShardRelease {
  /** Log index of the proposal that moves them: names this asking. */
  readonly version: LogIndex;
  readonly shards: readonly ReleasedShard[];
  /** By `now()` of the node: later is too late to acknowledge, and costs this node its lease. */
  readonly deadlineMs: number;
  /**
   * Aborted with a {@link HookOverError} when the release need not go on; its `reason` says why. `resumed`: the shards stay here, and
   * `onAcquire` names them again. `superseded`: another release follows. `lost`: others have them already. `stopped`: the node has ended.
   */
  readonly signal: AbortSignal;
  /**
   * Gives the bytes to the next owner's `onAcquire`, best effort. They travel when the hook has resolved, and only before the deadline. Copy
   * nothing: they must not be changed afterwards. The last call for a shard counts.
   *
   * @throws {HandOverRefusedError} above 1 MiB for a shard or 16 MiB in all, or for a shard that is not of this release: nothing was kept.
   */
  handOver(shard: ShardId, state: Uint8Array): void;
}

/** A shard that has become this node's. */
export interface AcquiredShard {
  readonly shard: ShardId;
  /** Who had it, and under which token; undefined when nobody had, or the node was not there to see. */
  readonly from: FormerOwner | undefined;
  /**
   * What that owner handed over when it gave the shard up in order; undefined when it is dead, handed nothing over, or it was lost. Never of an
   * older ownership. Of a shard that stays after all: what was handed over here, as nobody else has had it since.
   */
  readonly state: Uint8Array | undefined;
}

/** Shards that start here together. */
export interface ShardAcquisition {
  /** The fencing token of all of them. */
  readonly epoch: LogIndex;
  readonly shards: readonly AcquiredShard[];
  /** They were to be given up, and stay under the epoch they had. */
  readonly isResumed: boolean;
  /** Aborted with a {@link HookOverError} when none of them is this node's any more, or the node has ended. */
  readonly signal: AbortSignal;
}

export interface ShardHooks {
  /**
   * Called when shards must be given up; `owns` says no to them already. Resolve when the work under way is done: later than
   * `deadlineMs` (by `now()`), or rejected, it costs this node its lease (the node logs an error, and the shards move when the lease has run out).
   * A hook that resolves after its signal was aborted harms nothing. Without the hook shards are released at once.
   */
  readonly onRelease?: (shards: readonly ShardId[], deadlineMs: number, release: ShardRelease) => Promise<void>;
  /**
   * Called when shards have become this node's, with what their last owner handed over. `owns` says yes to them when the hook has resolved
   * (and the lease runs): load what they need first. A hook that rejects is called again, after a second and then ever more rarely (30 s at most),
   * for those that are still this node's. Calls for one shard come in order: never before an `onRelease` that named it has settled.
   */
  readonly onAcquire?: (acquisition: ShardAcquisition) => Promise<void>;
  /** True: `owns` says yes from the start, beside `onAcquire`. Default false. */
  readonly servesBeforeAcquired?: boolean;
}

export type HookEnd = ReleaseEnd | 'stopped';

/** Why the signal of a hook was aborted. */
export class HookOverError extends FunkError {
  readonly code = 'FUNK_HOOK_OVER';
  readonly reason: HookEnd;

  constructor(reason: HookEnd) {
    super(`the asking is over: ${reason}`);
    this.reason = reason;
  }
}

/** What should be handed over is too large, or not of this release. Nothing was kept of it. */
export class HandOverRefusedError extends FunkError {
  readonly code = 'FUNK_HAND_OVER_REFUSED';
}

/** The askings as they cross a thread; `hookCalls` in runtime/ makes of them what the application is given. */
export interface ReleaseCall {
  readonly version: LogIndex;
  readonly shards: readonly ReleasedShard[];
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export type AcquireCall = ShardAcquisition;
