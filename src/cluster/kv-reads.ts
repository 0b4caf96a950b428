/**
 * Linearizable reads of a member of the group: those of a turn share one read index (raft.md 7.1), and are served from the own state
 * once it has come so far. With lease reads a leader serves at once while its lease runs (7.2).
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { LogIndex, RequestId } from '../model/ids.ts';
import type { RaftOutcome } from '../raft/messages.ts';
import { type KvAnswers, type OpenRequest, refused } from './kv-askers.ts';
import type { ClusterEffect } from './messages.ts';
import type { Replica } from './replica.ts';

export interface KvReadsHost {
  readonly replica: Replica;
  readonly answers: KvAnswers;
  readonly hasLeaseReads: boolean;
  nextRequestId(): RequestId;
  retry(request: OpenRequest, now: MonotonicMs): void;
}

export class KvReads {
  readonly #host: KvReadsHost;
  #gathered: OpenRequest[] = [];
  readonly #asked: Map<RequestId, readonly OpenRequest[]> = new Map();
  /** Confirmed, and the own state is not there yet. */
  #confirmed: { readonly index: LogIndex; readonly requests: readonly OpenRequest[] }[] = [];
  readonly counts = { quorum: 0, lease: 0, stale: 0 };

  constructor(host: KvReadsHost) {
    this.#host = host;
  }

  get isWaiting(): boolean {
    return this.#gathered.length > 0;
  }

  add(request: OpenRequest): void {
    this.#gathered.push(request);
  }

  /** From what is here now, whoever leads. */
  serveStale(request: OpenRequest): void {
    this.counts.stale += 1;
    this.#serve(request);
  }

  /** The end of a turn. */
  flush(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#gathered.length === 0) return;
    const requests = this.#gathered;
    this.#gathered = [];
    if (this.#host.hasLeaseReads && this.#isCurrent(now)) {
      this.counts.lease += requests.length;
      for (const request of requests) this.#serve(request);
      return;
    }
    const { replica } = this.#host;
    if (replica.raft === undefined) {
      for (const request of requests) this.#host.retry(request, now);
      return;
    }
    const requestId = this.#host.nextRequestId();
    this.#asked.set(requestId, requests);
    replica.step({ kind: 'readIndex', requestId }, now, effects);
  }

  onRaftReply(requestId: RequestId, outcome: RaftOutcome, now: MonotonicMs): boolean {
    const requests = this.#asked.get(requestId);
    if (requests === undefined) return false;
    this.#asked.delete(requestId);
    if (outcome.kind === 'readReady') {
      this.counts.quorum += requests.length;
      if (outcome.index <= this.#host.replica.state.appliedIndex) for (const request of requests) this.#serve(request);
      else this.#confirmed.push({ index: outcome.index, requests });
      return true;
    }
    const code = outcome.kind === 'refused' ? outcome.code : 'NOT_LEADER';
    for (const request of requests) {
      if (code === 'BUSY') this.#host.answers.give(request.asker, refused('BUSY', 'too many reads wait'));
      else if (code === 'STOPPED') this.#host.answers.give(request.asker, refused('STOPPED', 'the node is stopping'));
      else this.#host.retry(request, now);
    }
    return true;
  }

  onApplied(index: LogIndex): void {
    if (this.#confirmed.length === 0) return;
    const waiting = this.#confirmed;
    this.#confirmed = waiting.filter((one) => one.index > index);
    for (const one of waiting) if (one.index <= index) for (const request of one.requests) this.#serve(request);
  }

  end(reason: string): void {
    const all = [this.#gathered, ...this.#asked.values(), ...this.#confirmed.map(({ requests }) => requests)];
    for (const { asker } of all.flat()) this.#host.answers.give(asker, refused('NOT_A_MEMBER', reason));
    this.#gathered = [];
    this.#asked.clear();
    this.#confirmed = [];
  }

  /** This node certainly leads alone at `now`, and what it has applied is all that anybody was told of. */
  #isCurrent(now: MonotonicMs): boolean {
    const { raft, state } = this.#host.replica;
    return raft !== undefined && now < raft.leaderLeaseUntil && state.appliedIndex >= raft.commitIndex;
  }

  #serve({ asker, request }: OpenRequest): void {
    if (request.kind !== 'read') return;
    this.#host.answers.give(asker, { kind: 'reply', reply: this.#host.replica.state.kv.range(request.query) });
  }
}
