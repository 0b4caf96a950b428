/**
 * Whether all replicas hold the same state. Each hashes what it has applied at every so many entries and tells the leader; a member
 * whose state differs from that of a majority of the voters has gone wrong, by a fault of memory, disk or program, and must stop
 * before anybody is served by it (raft.md 13; I-5). etcd's corruption check compares the same way.
 */
import type { LogIndex, MemberId } from '../model/ids.ts';
import type { Configuration } from '../model/log.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import { notify } from './core.ts';
import type { ClusterEffect } from './messages.ts';

/** Entries of the log between two digests. */
export const DIGEST_ENTRIES = 64;
/** Digests that are remembered: whoever lags further is compared the next time. */
const KEPT_MAX = 8;
/** More members than a cluster has are not believed in. */
const REPORTS_MAX = 1_024;

export type DigestVerdict =
  /** The majority of the voters holds `digest` there; these members hold something else. */
  | {
      readonly kind: 'differ';
      readonly index: LogIndex;
      readonly digest: number;
      readonly members: readonly MemberId[];
    }
  /** All voters have told, and no majority agrees. */
  | { readonly kind: 'undecided'; readonly index: LogIndex };

interface Reports {
  readonly of: Map<MemberId, number>;
  /** Members that were told, and whether it was told that nobody can tell. */
  readonly told: Set<MemberId>;
  isUndecidedTold: boolean;
}

export class StateDigests {
  readonly #reports: Map<LogIndex, Reports> = new Map();

  /** What `member` holds after the entry at `index`. */
  note(member: MemberId, index: LogIndex, digest: number): void {
    const reports = this.#at(index);
    if (reports !== undefined && (reports.of.has(member) || reports.of.size < REPORTS_MAX))
      reports.of.set(member, digest);
  }

  /** The state has been replaced as a whole: what is known of before says nothing of it. */
  clear(): void {
    this.#reports.clear();
  }

  /** For the leader, after each report. Every member is named once for an index. */
  judge(index: LogIndex, voters: readonly MemberId[]): DigestVerdict | undefined {
    const reports = this.#reports.get(index);
    if (reports === undefined) return undefined;
    const counts = new Map<number, number>();
    for (const voter of voters) {
      const digest = reports.of.get(voter);
      if (digest !== undefined) counts.set(digest, (counts.get(digest) ?? 0) + 1);
    }
    const [digest] = [...counts].find(([, count]) => count > voters.length / 2) ?? [];
    if (digest === undefined) {
      const isSplit = counts.size > 1 && voters.every((voter) => reports.of.has(voter));
      if (!isSplit || reports.isUndecidedTold) return undefined;
      reports.isUndecidedTold = true;
      return { kind: 'undecided', index };
    }
    const members = [...reports.of].flatMap(([member, its]) =>
      its === digest || reports.told.has(member) ? [] : [member],
    );
    for (const member of members) reports.told.add(member);
    return members.length === 0 ? undefined : { kind: 'differ', index, digest, members };
  }

  /** Undefined for an index below those that are remembered. */
  #at(index: LogIndex): Reports | undefined {
    const found = this.#reports.get(index);
    if (found !== undefined) return found;
    const oldest = Math.min(...this.#reports.keys());
    if (this.#reports.size >= KEPT_MAX) {
      if (index < oldest) return undefined;
      this.#reports.delete(oldest as LogIndex);
    }
    const made: Reports = { of: new Map(), told: new Set(), isUndecidedTold: false };
    this.#reports.set(index, made);
    return made;
  }
}

/** A replica, as far as it matters here. */
export interface DigestHost {
  /** This member, once it is one of the group. */
  readonly self: MemberId | undefined;
  readonly raft: { readonly leader: MemberId | undefined } | undefined;
  /** The voter that a node outside of the group follows. */
  readonly followed: MemberId | undefined;
  readonly configuration: Configuration;
  readonly state: { readonly appliedIndex: LogIndex };
}

type Told = Extract<PeerMessage, { kind: 'digest' | 'digestDiffers' }>;

/** Takes digests, sends them where they are compared, and hears how that went. */
export class DigestDesk {
  readonly #host: DigestHost;
  readonly #send: (to: MemberId, message: PeerMessage, effects: ClusterEffect[]) => void;
  readonly #every: number;
  readonly #digests: StateDigests = new StateDigests();
  /** Own ones, while it is not clear under which name the leader knows this node. */
  readonly #own: Map<LogIndex, number> = new Map();

  constructor(
    host: DigestHost,
    send: (to: MemberId, message: PeerMessage, effects: ClusterEffect[]) => void,
    every: number,
  ) {
    this.#host = host;
    this.#send = send;
    this.#every = every;
  }

  isDue(index: LogIndex): boolean {
    return index % this.#every === 0;
  }

  /** What the state after the entry at `index` hashes to. Why this node must stop, if it must. */
  onApplied(index: LogIndex, digest: number, effects: ClusterEffect[]): string | undefined {
    this.#own.set(index, digest);
    for (const old of this.#own.keys()) if (this.#own.size > KEPT_MAX) this.#own.delete(old);
    const self = this.#host.self;
    const leader = this.#host.raft?.leader;
    if (self !== undefined && leader === self) {
      this.#digests.note(self, index, digest);
      return this.#judge(self, index, effects);
    }
    const to = leader ?? this.#host.followed;
    if (to !== undefined) this.#send(to, { kind: 'digest', index, digest, relayFor: undefined }, effects);
    return undefined;
  }

  /** The state was replaced as a whole. */
  onRestored(): void {
    this.#digests.clear();
    this.#own.clear();
  }

  /** Why this node must stop, if it must. */
  onMessage(from: MemberId, message: Told, effects: ClusterEffect[]): string | undefined {
    const self = this.#host.self;
    const leader = this.#host.raft?.leader;
    if (message.kind === 'digestDiffers') {
      const isTrusted = from === leader || this.#host.configuration.voters.includes(from);
      const own = this.#own.get(message.index);
      return isTrusted && own !== undefined && own !== message.digest ? stray(message.index) : undefined;
    }
    const { index, digest, relayFor } = message;
    if (leader !== self || self === undefined) {
      // One step only, so that no report runs in circles.
      if (leader !== undefined && relayFor === undefined) this.#send(leader, { ...message, relayFor: from }, effects);
      return undefined;
    }
    if (!this.isDue(index) || index > this.#host.state.appliedIndex) return undefined;
    this.#digests.note(relayFor ?? from, index, digest);
    const own = this.#own.get(index);
    if (own !== undefined) this.#digests.note(self, index, own);
    return this.#judge(self, index, effects);
  }

  #judge(self: MemberId, index: LogIndex, effects: ClusterEffect[]): string | undefined {
    const verdict = this.#digests.judge(index, this.#host.configuration.voters);
    if (verdict?.kind === 'undecided') {
      notify({ kind: 'warning', text: `the voters disagree about the state after entry ${index}` }, effects);
    } else if (verdict !== undefined) {
      const { members, digest } = verdict;
      notify({ kind: 'warning', text: `the state of ${members.join(', ')} differs after entry ${index}` }, effects);
      for (const member of members)
        if (member !== self) this.#send(member, { kind: 'digestDiffers', index, digest }, effects);
      if (members.includes(self)) return stray(index);
    }
    return undefined;
  }
}

function stray(index: LogIndex): string {
  return `the state after entry ${index} differs from that of the majority of the voters: memory, disk or program have failed here; take the data aside with "funknode recover rejoin"`;
}
