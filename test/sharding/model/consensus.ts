/**
 * A small oracle in place of the Raft core: logs that replicate by messages, elections whose votes are counted in one instant, a
 * leader lease by the rules of raft.md 7.4. It is right by construction, so what fails on it fails in `sharding/`.
 */
import { randomBetween } from '../../../src/base/random.ts';
import type { LogIndex, NodeId, Term } from '../../../src/model/ids.ts';
import type { ShardCommand } from '../../../src/sharding/messages.ts';
import type { Network, Timeline } from './world.ts';
import type { Member } from './member.ts';

export const ELECTION_MS = 250;
const DRIFT = 0.02;
const LEADER_LEASE_MS = (ELECTION_MS * (1 - DRIFT)) / (1 + DRIFT);
const HEARTBEAT_MS = 50;

export interface LogEntry {
  readonly term: Term;
  readonly command: ShardCommand | undefined;
}

/** What a leader sends: the first `length` entries of a log that only grows while it leads. */
interface Append {
  readonly term: Term;
  readonly leader: string;
  readonly log: readonly LogEntry[];
  readonly length: number;
  readonly commit: number;
  readonly sentAt: number;
}

interface Leading {
  readonly term: Term;
  readonly electedAt: number;
  readonly noopIndex: number;
  readonly restedOnLease: NodeId | undefined;
  readonly predecessor: NodeId | undefined;
  /** Per voter: when the newest answered round was sent, and how much of the log it has. */
  readonly answeredAt: Map<string, number>;
  readonly matched: Map<string, number>;
  isReady: boolean;
  isRoundDue: boolean;
  isTransferring: boolean;
  /** Answers to rounds sent before count for nothing: a cancelled transfer (raft.md 8), a suspended guest. */
  countsFrom: number;
}

/** What survives a restart of a voter. */
export interface Disk {
  term: Term;
  log: LogEntry[];
}

export class Consensus {
  readonly #timeline: Timeline;
  readonly #network: Network;
  readonly #member: Member;
  readonly #peers: () => readonly Member[];
  readonly #voters: readonly string[];
  readonly disk: Disk;
  readonly #bornAt: number;
  commit = 0;
  applied = 0;
  leader: string | undefined;
  leading: Leading | undefined;
  leaseUntil: number = Number.NEGATIVE_INFINITY;
  #heardAt: number;
  /** The newest commit index heard from the leader of `term` (O-15). */
  #heard: { readonly term: Term; readonly commit: number } = { term: 0 as Term, commit: 0 };
  #leaders: Map<Term, string>;

  constructor(
    parts: { readonly timeline: Timeline; readonly network: Network; readonly leaders: Map<Term, string> },
    member: Member,
    peers: () => readonly Member[],
    voters: readonly string[],
    disk: Disk,
  ) {
    this.#timeline = parts.timeline;
    this.#network = parts.network;
    this.#leaders = parts.leaders;
    this.#member = member;
    this.#peers = peers;
    this.#voters = voters;
    this.disk = disk;
    this.#bornAt = member.host.mono();
    this.#heardAt = this.#bornAt;
  }

  start(): void {
    if (this.#member.isVoter) this.#armElection();
  }

  isSettled(): boolean {
    return this.applied === this.disk.log.length;
  }

  /** An `append` of the machine: refused now and then, as a busy core may. */
  append(command: ShardCommand): void {
    if (this.leading === undefined || this.#timeline.random.next() < 0.03) return;
    this.disk.log.push({ term: this.leading.term, command });
    this.#member.feed({ kind: 'logSettled', settled: false });
    this.#round(this.leading, randomBetween(this.#timeline.random, 0.2, 3));
  }

  /** A leader's entries, or what a voter passes on of them to a non-voter. */
  onAppend(append: Append): void {
    const { disk } = this;
    if (append.term < disk.term) {
      this.#tellTerm(append.leader);
      return;
    }
    if (append.term > disk.term || this.leading !== undefined) this.#stepDown(append.term);
    const now = this.#member.host.mono();
    this.#heardAt = now;
    this.#take(append);
    if (append.commit > this.#heard.commit || append.term > this.#heard.term) {
      this.#heard = { term: append.term, commit: append.commit };
    }
    if (this.leader !== append.leader) {
      this.leader = append.leader;
      this.#member.feed({ kind: 'leaderKnown', leader: append.leader as NodeId, term: append.term });
    }
    this.#member.relay(append.leader);
    this.applyTo(Math.min(append.commit, disk.log.length));
    if (!this.#member.isVoter) return;
    const { length, sentAt, term } = append;
    this.#send(append.leader, (peer) => peer.consensus.onAnswer(this.#member.name, term, sentAt, length));
  }

  /** What a non-voter is given by the voter it follows. */
  pass(): Append {
    return {
      term: this.disk.term,
      leader: this.leader ?? this.#member.name,
      log: this.disk.log,
      length: this.applied,
      commit: this.applied,
      sentAt: 0,
    };
  }

  onAnswer(voter: string, term: Term, sentAt: number, length: number): void {
    const { leading } = this;
    if (leading === undefined || leading.term !== term) return;
    if (sentAt >= leading.countsFrom)
      leading.answeredAt.set(voter, Math.max(sentAt, leading.answeredAt.get(voter) ?? sentAt));
    leading.matched.set(voter, Math.max(length, leading.matched.get(voter) ?? 0));
    const lease = this.#quorumOf(leading.answeredAt, Number.POSITIVE_INFINITY) + LEADER_LEASE_MS;
    if (lease > this.leaseUntil && !leading.isTransferring) this.#setLease(lease);
    this.#commitMatched(leading);
  }

  onTerm(term: Term): void {
    if (term > this.disk.term) this.#stepDown(term);
  }

  /** A forward jump of the wall clock shortens the leader lease too, and what rounds under way could still add to it. */
  onJump(byMs: number): void {
    if (this.leading === undefined) return;
    this.leading.countsFrom = this.#member.host.mono();
    for (const [voter, at] of this.leading.answeredAt) this.leading.answeredAt.set(voter, at - byMs);
    this.#setLease(this.leaseUntil - byMs);
  }

  /** Hands leadership over: granting ends first (O-4). Given up again when nobody was elected. */
  transfer(): void {
    const { leading } = this;
    if (leading === undefined || !leading.isReady || leading.isTransferring) return;
    leading.isTransferring = true;
    this.leaseUntil = Number.NEGATIVE_INFINITY;
    this.#member.feed({ kind: 'transferring', active: true });
    const heir = this.#peers().find((peer) => peer.isVoter && peer !== this.#member && this.#canAsk(peer));
    this.#timeline.after(randomBetween(this.#timeline.random, 0.5, 5), () =>
      heir?.run(() => {
        // A `TimeoutNow` that comes after the cancellation is dropped (raft.md 8).
        if (this.leading === leading && leading.isTransferring) heir.consensus.campaign({ isTransfer: true });
      }),
    );
    this.#timeline.after(100, () =>
      this.#member.run(() => {
        if (this.leading !== leading) return;
        leading.isTransferring = false;
        leading.answeredAt.clear();
        leading.countsFrom = this.#member.host.mono();
        this.#setLease(Number.NEGATIVE_INFINITY);
        this.#member.feed({ kind: 'transferring', active: false });
      }),
    );
  }

  /** Votes are counted in one instant. A transfer overrides stickiness, since the old leader has given its lease up. */
  campaign(options: { readonly isTransfer: boolean }): void {
    const { disk } = this;
    if (this.leading !== undefined) return;
    const now = this.#member.host.mono();
    if (!options.isTransfer && now - this.#heardAt < ELECTION_MS) return;
    const term = (Math.max(disk.term, ...this.#askable().map((peer) => peer.consensus.disk.term)) + 1) as Term;
    const granting = this.#askable().filter((peer) => peer.consensus.#wouldVote(disk.log, options.isTransfer));
    if (granting.length + 1 <= this.#voters.length / 2) return;
    for (const peer of granting) peer.consensus.#stepDown(term);
    this.#becomeLeader(term, now);
  }

  #becomeLeader(term: Term, now: number): void {
    const { disk } = this;
    const last = disk.log.at(-1);
    const ledLast = last === undefined ? undefined : this.#leaders.get(last.term);
    const firstOfLast = disk.log.findIndex((entry) => entry.term === last?.term) + 1;
    const hasHeard = this.#heard.term === last?.term && this.#heard.commit >= firstOfLast;
    const predecessor = this.leader === this.#member.name ? undefined : this.leader;
    this.#leaders.set(term, this.#member.name);
    disk.term = term;
    disk.log.push({ term, command: undefined });
    this.leader = this.#member.name;
    this.leading = {
      term,
      electedAt: now,
      noopIndex: disk.log.length,
      restedOnLease: hasHeard ? (ledLast as NodeId | undefined) : undefined,
      predecessor: predecessor as NodeId | undefined,
      answeredAt: new Map(),
      matched: new Map(),
      isReady: false,
      isRoundDue: false,
      isTransferring: false,
      countsFrom: Number.NEGATIVE_INFINITY,
    };
    this.leaseUntil = Number.NEGATIVE_INFINITY;
    this.#member.feed({ kind: 'leaderKnown', leader: this.#member.name as NodeId, term });
    this.#tellLeadership(this.leading);
    this.#member.feed({ kind: 'logSettled', settled: false });
    this.#beat(this.leading);
  }

  #tellLeadership(leading: Leading): void {
    const { term, electedAt, restedOnLease, predecessor, isReady } = leading;
    this.#member.feed({ kind: 'leadership', isLeader: true, isReady, term, electedAt, restedOnLease, predecessor });
  }

  #stepDown(term: Term): void {
    const wasLeading = this.leading;
    this.disk.term = term;
    this.leading = undefined;
    if (wasLeading === undefined) return;
    this.leaseUntil = Number.NEGATIVE_INFINITY;
    this.leader = undefined;
    this.#member.feed({
      kind: 'leadership',
      isLeader: false,
      isReady: false,
      term,
      electedAt: 0,
      restedOnLease: undefined,
      predecessor: undefined,
    });
    this.#member.feed({ kind: 'leaderKnown', leader: undefined, term });
    this.#armElection();
  }

  /** The whole prefix is at hand: take it unless it is a part of what is here. */
  #take({ log, length }: Append): void {
    const mine = this.disk.log;
    if (mine.length >= length && mine[length - 1] === log[length - 1]) return;
    if (mine.length === 0 || mine.at(-1) === log[mine.length - 1]) mine.push(...log.slice(mine.length, length));
    else this.disk.log = log.slice(0, length);
  }

  applyTo(commit: number): void {
    this.commit = Math.max(this.commit, commit);
    if (this.commit === this.applied) return;
    const { log } = this.disk;
    if (this.commit - this.applied > 3 && this.leading === undefined) this.#member.trySnapshot(this.commit);
    while (this.applied < this.commit) {
      const entry = log[this.applied] as LogEntry;
      this.applied += 1;
      const index = this.applied as LogIndex;
      if (entry.command !== undefined) {
        this.#member.feed({ kind: 'applied', index, term: entry.term, command: entry.command });
      }
    }
    this.#member.feed({ kind: 'appliedTo', index: this.applied as LogIndex });
    const { leading } = this;
    if (leading === undefined) return;
    if (this.isSettled()) this.#member.feed({ kind: 'logSettled', settled: true });
    if (leading.isReady || this.applied < leading.noopIndex) return;
    leading.isReady = true;
    this.#tellLeadership(leading);
  }

  #commitMatched(leading: Leading): void {
    const matched = this.#quorumOf(leading.matched, this.disk.log.length);
    if (matched <= this.commit || this.disk.log[matched - 1]?.term !== leading.term) return;
    this.applyTo(matched);
    this.#round(leading, 0);
  }

  /** The highest value that a majority reaches, this leader's own counted as `own`. */
  #quorumOf(values: ReadonlyMap<string, number>, own: number): number {
    const all = this.#voters.map((name) =>
      name === this.#member.name ? own : (values.get(name) ?? Number.NEGATIVE_INFINITY),
    );
    all.sort((a, b) => b - a);
    return all[Math.floor(all.length / 2)] as number;
  }

  #setLease(until: number): void {
    this.leaseUntil = until;
    this.#member.feed({ kind: 'leaderLease', until });
  }

  #beat(leading: Leading): void {
    this.#member.run(() => {
      if (this.leading !== leading) return;
      const now = this.#member.host.mono();
      if (now - Math.max(leading.electedAt, this.#quorumOf(leading.answeredAt, now)) > ELECTION_MS) {
        this.#stepDown(leading.term); // CheckQuorum
        return;
      }
      this.#sendRound(leading);
      this.#timeline.after(HEARTBEAT_MS / this.#member.host.rate, () => this.#beat(leading));
    });
  }

  #round(leading: Leading, delay: number): void {
    if (leading.isRoundDue) return;
    leading.isRoundDue = true;
    this.#timeline.after(delay, () => this.#member.run(() => this.#sendRound(leading)));
  }

  #sendRound(leading: Leading): void {
    if (this.leading !== leading) return;
    leading.isRoundDue = false;
    const append: Append = {
      term: leading.term,
      leader: this.#member.name,
      log: this.disk.log,
      length: this.disk.log.length,
      commit: this.commit,
      sentAt: this.#member.host.mono(),
    };
    for (const name of this.#voters) {
      if (name !== this.#member.name) this.#send(name, (peer) => peer.consensus.onAppend(append));
    }
    this.#member.relay(this.#member.name);
  }

  #tellTerm(leader: string): void {
    const { term } = this.disk;
    this.#send(leader, (peer) => peer.consensus.onTerm(term));
  }

  #send(to: string, arrive: (peer: Member) => void): void {
    this.#network.send(this.#member.name, to, () => {
      for (const peer of this.#peers()) if (peer.name === to) peer.run(() => arrive(peer));
    });
  }

  #armElection(): void {
    const wait = randomBetween(this.#timeline.random, ELECTION_MS, 2 * ELECTION_MS);
    this.#timeline.after(wait / this.#member.host.rate, () =>
      this.#member.run(() => {
        if (this.leading !== undefined) return;
        this.campaign({ isTransfer: false });
        if (this.leading === undefined) this.#armElection();
      }),
    );
  }

  #askable(): Member[] {
    return this.#peers().filter((peer) => peer.isVoter && peer !== this.#member && this.#canAsk(peer));
  }

  #canAsk(peer: Member): boolean {
    const { name } = this.#member;
    const isOpen = !this.#network.isCut(name, peer.name) && !this.#network.isCut(peer.name, name);
    return isOpen && peer.host.isAlive && !peer.host.isStopped();
  }

  #wouldVote(log: readonly LogEntry[], isTransfer: boolean): boolean {
    const now = this.#member.host.mono();
    const isSticky = now - this.#heardAt < ELECTION_MS || now - this.#bornAt < ELECTION_MS;
    if (this.leading !== undefined ? !isTransfer : isSticky && !isTransfer) return false;
    const mine = this.disk.log.at(-1)?.term ?? 0;
    const theirs = log.at(-1)?.term ?? 0;
    return theirs > mine || (theirs === mine && log.length >= this.disk.log.length);
  }
}
