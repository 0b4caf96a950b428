/** One core alone, its disk as fast or slow as the test wants, and everything it says in a list. For step tests: input, then exact effects. */
import assert from 'node:assert/strict';
import { SeededRandom } from '../../src/base/random.ts';
import type { LogIndex, MemberId, RequestId, Term } from '../../src/model/ids.ts';
import { EMPTY_RECOVERED_LOG } from '../../src/model/log.ts';
import type { Configuration, Entry, EntryKind, LogId, PersistBatch, RecoveredLog } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import type { RaftConfig } from '../../src/raft/config.ts';
import type { RaftEffect, RaftEvent, RaftInput, RaftMessage, RaftOutcome } from '../../src/raft/messages.ts';
import { Raft } from '../../src/raft/raft.ts';
import { EMPTY_BYTES, utf8 } from '../../src/base/bytes.ts';
import { configurationOf, foundingEntry, member } from './world.ts';

export const N1: MemberId = member('n1');
export const N2: MemberId = member('n2');
export const N3: MemberId = member('n3');
export const N4: MemberId = member('n4');
export const N5: MemberId = member('n5');

export function at(term: number, index: number): LogId {
  return { term: term as Term, index: index as LogIndex };
}

export function entry(term: number, index: number, text = '', kind: EntryKind = 'command'): Entry {
  return { ...at(term, index), kind, data: kind === 'noop' ? EMPTY_BYTES : utf8(text || `${term}.${index}`) };
}

/** A log whose first entry founds `voters`, and whose entries 2, 3, … have these terms. */
export function logOf(voters: readonly string[], terms: readonly number[], hardTerm?: number): RecoveredLog {
  const entries = [foundingEntry(configurationOf(voters)), ...terms.map((term, i) => entry(term, i + 2))];
  const term = (hardTerm ?? terms.at(-1) ?? 1) as Term;
  return { ...EMPTY_RECOVERED_LOG, hardState: { term, vote: null }, entries };
}

export const THREE: readonly string[] = ['n1', 'n2', 'n3'];

export class SingleCore {
  readonly raft: Raft;
  readonly self: MemberId;
  now = 1_000;
  sent: { readonly to: MemberId; readonly message: RaftMessage }[] = [];
  events: RaftEvent[] = [];
  committed: Entry[] = [];
  others: RaftEffect[] = [];
  readonly outcomes: Map<RequestId, RaftOutcome> = new Map();
  readonly batches: PersistBatch[] = [];
  /** Batches become durable at the end of each turn. */
  hasFastDisk = true;
  #nextRequest = 1;

  constructor(
    recovered: RecoveredLog,
    options: { readonly self?: MemberId; readonly config?: Partial<RaftConfig>; readonly seed?: number } = {},
  ) {
    this.self = options.self ?? N1;
    const config = { ...DEFAULT_RAFT_CONFIG, ...options.config };
    this.raft = new Raft(config, this.self, recovered, new SeededRandom(options.seed ?? 1), this.now);
    this.tick();
  }

  /** One input and the end of its turn. */
  input(input: RaftInput): void {
    const effects: RaftEffect[] = [];
    this.raft.step(input, this.now, effects);
    this.raft.check();
    this.#take(effects);
    this.tick();
  }

  tick(): void {
    const effects: RaftEffect[] = [];
    this.raft.tick(this.now, effects);
    this.raft.check();
    this.#take(effects);
    if (this.hasFastDisk) this.sync();
  }

  /** Time goes by, with every deadline kept. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.now < until) {
      this.now = Math.min(until, Math.max(this.raft.nextDeadline(), this.now + 0.001));
      this.tick();
    }
  }

  /** All batches that are under way become durable. */
  sync(): void {
    for (let batch = this.batches.shift(); batch !== undefined; batch = this.batches.shift()) this.syncOne(batch);
  }

  syncOne(batch: PersistBatch | undefined = this.batches.shift()): void {
    if (batch !== undefined) this.input({ kind: 'persisted', batchSeq: batch.batchSeq });
  }

  receive(from: MemberId, message: RaftMessage): void {
    this.input({ kind: 'message', from, message });
  }

  ask(make: (requestId: RequestId) => RaftInput): RequestId {
    const requestId = this.#nextRequest as RequestId;
    this.#nextRequest += 1;
    this.input(make(requestId));
    return requestId;
  }

  propose(...items: readonly string[]): RequestId {
    return this.ask((requestId) => ({ kind: 'propose', requestId, items: items.map(utf8) }));
  }

  outcome(requestId: RequestId): RaftOutcome | undefined {
    return this.outcomes.get(requestId);
  }

  /** What was sent since the last call, and forgets it. */
  take(): { readonly to: MemberId; readonly message: RaftMessage }[] {
    const { sent } = this;
    this.sent = [];
    return sent;
  }

  takeKind<K extends RaftMessage['kind']>(
    kind: K,
  ): { readonly to: MemberId; readonly message: Extract<RaftMessage, { kind: K }> }[] {
    return this.take().flatMap(({ to, message }) =>
      message.kind === kind ? [{ to, message: message as Extract<RaftMessage, { kind: K }> }] : [],
    );
  }

  /** Waits for the timer, and wins pre-vote and vote with the help of `voters`. */
  elect(voters: readonly MemberId[]): void {
    this.pass(500);
    const nextTerm = (this.raft.term + 1) as Term;
    for (const voter of voters)
      this.receive(voter, { kind: 'preVoteResp', term: nextTerm, nextTerm, granted: true, reason: '' });
    for (const voter of voters)
      this.receive(voter, { kind: 'voteResp', term: this.raft.term, granted: true, reason: '' });
  }

  /** `peer` acknowledges everything there is. */
  acknowledge(peer: MemberId, match: LogIndex = this.raft.lastIndex, readSeq = 0): void {
    this.receive(peer, { kind: 'appendOk', term: this.raft.term, match, readSeq });
  }

  append(from: MemberId, term: number, prev: LogId, entries: readonly Entry[], commit = 0): void {
    this.receive(from, {
      kind: 'appendReq',
      term: term as Term,
      prev,
      entries,
      commit: commit as LogIndex,
      readSeq: 1,
      cancelledTransfers: 0,
    });
  }

  heartbeat(
    from: MemberId,
    term: number,
    options: { readonly commit?: number; readonly cancelled?: number } = {},
  ): void {
    this.receive(from, {
      kind: 'heartbeat',
      term: term as Term,
      commit: (options.commit ?? 0) as LogIndex,
      readSeq: 1,
      cancelledTransfers: options.cancelled ?? 0,
    });
  }

  /** Terms of the log from index 1. */
  terms(): (number | undefined)[] {
    return Array.from({ length: this.raft.lastIndex }, (_, i) => this.raft.termAt((i + 1) as LogIndex));
  }

  voteReq(from: MemberId, term: number, lastLog: LogId, transferSeq = 0): RaftMessage | undefined {
    this.take();
    this.receive(from, { kind: 'voteReq', term: term as Term, lastLog, transferSeq });
    return this.take().find(({ to }) => to === from)?.message;
  }

  preVoteReq(from: MemberId, nextTerm: number, lastLog: LogId): RaftMessage | undefined {
    this.take();
    this.receive(from, { kind: 'preVoteReq', term: (nextTerm - 1) as Term, nextTerm: nextTerm as Term, lastLog });
    return this.take().find(({ to }) => to === from)?.message;
  }

  #take(effects: readonly RaftEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.sent.push(effect);
      else if (effect.kind === 'notify') this.events.push(effect.event);
      else if (effect.kind === 'reply') this.outcomes.set(effect.requestId, effect.outcome);
      else if (effect.kind === 'persist') this.batches.push(effect.batch);
      else if (effect.kind === 'commit') this.committed.push(...effect.entries);
      else this.others.push(effect);
    }
  }
}

export function granted(message: RaftMessage | undefined): boolean {
  return (message?.kind === 'voteResp' || message?.kind === 'preVoteResp') && message.granted;
}

export function joined(base: Configuration, outgoing: readonly MemberId[]): Configuration {
  return { ...base, votersOutgoing: [...outgoing].sort() };
}

export interface Beginning {
  readonly voters?: readonly string[];
  /** Of the entries before its own. */
  readonly terms?: readonly number[];
  readonly config?: Partial<RaftConfig>;
}

/** N1 leads, and N2 and N3 hold all that it has written. */
export function leadingCore({ voters = THREE, terms = [], config = {} }: Beginning = {}): SingleCore {
  const core = new SingleCore(logOf(voters, terms), { config });
  core.elect([N2, N3]);
  core.acknowledge(N2);
  core.acknowledge(N3);
  core.take();
  assert.ok(core.raft.isReady);
  return core;
}

/** N1 has heard its leader N2 in term 2, long enough after its start. */
export function followingCore(): SingleCore {
  const core = new SingleCore(logOf(THREE, []));
  core.pass(400);
  core.heartbeat(N2, 2);
  core.take();
  return core;
}

/** Why it was refused, or what became of it. */
export function codeOf(core: SingleCore, requestId: RequestId): string {
  const outcome = core.outcome(requestId);
  return outcome?.kind === 'refused' ? outcome.code : (outcome?.kind ?? 'waits');
}
