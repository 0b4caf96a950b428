/**
 * Linearizable reads without a log entry: an index that was committed when a quorum confirmed that this leader still leads. The leader's
 * side and the follower's. raft.md 7.1; dissertation 6.4.
 */
import type { MonotonicMs } from '../base/machine.ts';
import { NO_INDEX } from '../model/ids.ts';
import type { LogIndex, MemberId, RequestId } from '../model/ids.ts';
import type { RaftMessage } from './messages.ts';
import type { RaftState } from './state.ts';

/** Who asked: a caller of this node, or a follower. */
type Asker =
  | { readonly kind: 'local'; readonly requestId: RequestId }
  | { readonly kind: 'remote'; readonly from: MemberId; readonly id: number };

interface Barrier {
  readonly seq: number;
  readonly index: LogIndex;
  readonly askers: readonly Asker[];
}

/** The leader's side. Reads that come in one turn share a round. */
export class ReadBarriers {
  readonly #state: RaftState;
  #waiting: Asker[] = [];
  #begun: Barrier[] = [];
  #count = 0;

  constructor(state: RaftState) {
    this.#state = state;
  }

  /** Reads that have been taken and not answered. */
  get count(): number {
    return this.#count;
  }

  get localCount(): number {
    return [...this.#waiting, ...this.#begun.flatMap((barrier) => barrier.askers)].filter(
      (asker) => asker.kind === 'local',
    ).length;
  }

  get wantsRound(): boolean {
    return this.#waiting.length > 0 && this.#begun.length < this.#state.config.readRoundsMax;
  }

  /** False when there is no room. */
  ask(asker: Asker): boolean {
    if (this.#count >= this.#state.config.waitingRequestsMax) return false;
    this.#count += 1;
    this.#waiting.push(asker);
    return true;
  }

  /** Round `seq` begins now and carries all reads that wait. */
  begin(seq: number): void {
    this.#begun.push({ seq, index: this.#state.commitIndex, askers: this.#waiting });
    this.#waiting = [];
  }

  /** A quorum has echoed round `seq`: it and all before it are confirmed. */
  confirm(seq: number): void {
    for (let barrier = this.#begun[0]; barrier !== undefined && barrier.seq <= seq; barrier = this.#begun[0]) {
      this.#begun.shift();
      for (const asker of barrier.askers) this.#answer(asker, barrier.index);
    }
  }

  abandon(): void {
    const askers = [...this.#begun.flatMap((barrier) => barrier.askers), ...this.#waiting];
    this.#begun = [];
    this.#waiting = [];
    for (const asker of askers) this.#answer(asker, undefined);
  }

  #answer(asker: Asker, index: LogIndex | undefined): void {
    this.#count -= 1;
    if (asker.kind === 'remote') {
      const answer = { id: asker.id, index: index ?? NO_INDEX, ok: index !== undefined };
      this.#state.send(asker.from, { kind: 'readIndexResp', term: this.#state.term, ...answer });
    } else if (index === undefined) {
      this.#state.refuse(asker.requestId, 'NOT_LEADER', 'leadership was lost before the read was confirmed');
    } else {
      this.#state.reply(asker.requestId, { kind: 'readReady', index });
    }
  }
}

/** How many election timeouts a forwarded read waits for its answer. */
const FORWARD_TIMEOUTS = 2;

/** The follower's side: each attempt has an id that no other attempt ever had, restarts included (P-19). */
export class ForwardedReads {
  readonly #state: RaftState;
  #nextId: number;
  readonly #open: Map<number, { readonly requestId: RequestId; readonly deadline: MonotonicMs }> = new Map();

  constructor(state: RaftState) {
    this.#state = state;
    // 2^20 attempts per start before two starts could meet, and 2^32 places to start.
    this.#nextId = Math.floor(state.random.next() * 2 ** 32) * 2 ** 20;
  }

  get count(): number {
    return this.#open.size;
  }

  nextDeadline(): MonotonicMs {
    for (const read of this.#open.values()) return read.deadline;
    return Number.POSITIVE_INFINITY;
  }

  ask(requestId: RequestId, leader: MemberId): void {
    const state = this.#state;
    if (this.#open.size >= state.config.waitingRequestsMax)
      return state.refuse(requestId, 'BUSY', 'too many reads wait');
    const id = this.#nextId;
    this.#nextId += 1;
    this.#open.set(id, { requestId, deadline: state.clock.now + FORWARD_TIMEOUTS * state.config.electionMs });
    state.send(leader, { kind: 'readIndexReq', term: state.term, id });
  }

  onAnswer(from: MemberId, message: Extract<RaftMessage, { kind: 'readIndexResp' }>): void {
    const read = this.#open.get(message.id);
    if (read === undefined || from !== this.#state.leader) return this.#state.drop();
    this.#open.delete(message.id);
    if (message.ok) this.#state.reply(read.requestId, { kind: 'readReady', index: message.index });
    else this.#state.refuse(read.requestId, 'NOT_LEADER', 'the leader could not confirm the read');
  }

  tick(): void {
    for (const [id, read] of this.#open) {
      if (read.deadline > this.#state.clock.now) return;
      this.#open.delete(id);
      this.#state.refuse(read.requestId, 'TIMED_OUT', 'the leader did not answer the read');
    }
  }

  /** The leader they were sent to leads no more. */
  abandon(code: 'NOT_LEADER' | 'STOPPED', reason: string): void {
    for (const [id, read] of this.#open) {
      this.#open.delete(id);
      this.#state.refuse(read.requestId, code, reason);
    }
  }
}
