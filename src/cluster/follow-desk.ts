/** A member of the group tells those that follow it what is agreed: the word that goes out for `FollowServer`. */
import { present } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { LogIndex, MemberId } from '../model/ids.ts';
import { nodeIdOf } from '../model/ids.ts';
import type { Entry } from '../model/log.ts';
import type { AgreedState } from './agreed-state.ts';
import type { Consensus } from './consensus.ts';
import { FollowServer } from './following.ts';
import type { ClusterEffect } from './messages.ts';
import type { ReplicaHost } from './replica-host.ts';

export interface FollowDeskHost {
  readonly state: AgreedState;
  raft(): Consensus | undefined;
  isSendingTo(to: MemberId): boolean;
  /** The whole state, to a follower that is too far behind. */
  streamTo(to: MemberId, now: MonotonicMs, effects: ClusterEffect[]): void;
  readonly send: ReplicaHost['send'];
}

export class FollowDesk {
  readonly #host: FollowDeskHost;
  readonly #server: FollowServer = new FollowServer();

  constructor(host: FollowDeskHost) {
    this.#host = host;
  }

  remember(entry: Entry): void {
    this.#server.remember(entry);
  }

  forgetEntries(): void {
    this.#server.forgetEntries();
  }

  onFollow(from: MemberId, appliedIndex: LogIndex, now: MonotonicMs, effects: ClusterEffect[]): void {
    // Without a leader there is nothing to vouch for: the follower turns to another voter.
    if (this.#host.raft()?.leader === undefined) return;
    if (!this.#server.onFollow(from, appliedIndex, now)) return;
    this.#pushTo(from, now, effects);
  }

  /** To all that follow, what was applied since. */
  push(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#server.size === 0) return;
    for (const member of this.#server.present(now)) this.#pushTo(member, now, effects);
  }

  #pushTo(to: MemberId, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { leader, term } = present(this.#host.raft(), 'only a member of the group is followed');
    const { appliedIndex } = this.#host.state;
    // While an image is on its way there is nothing to add, but a sign of life.
    const entries = this.#host.isSendingTo(to) ? [] : this.#server.take(to, appliedIndex, now);
    if (entries === undefined) {
      this.#host.streamTo(to, now, effects);
      return;
    }
    const leaderNode = leader === undefined ? undefined : nodeIdOf(leader);
    this.#host.send(
      to,
      { kind: 'followEntries', leader: leaderNode, term, commitIndex: appliedIndex, entries },
      effects,
    );
  }
}
