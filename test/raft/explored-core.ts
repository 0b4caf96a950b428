/** One core of an exploration: it lives through a history, on a disk of its own and a clock that goes on when a timer is to fire. */
import { assert, present } from '../../src/base/assert.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { crc32c } from '../../src/base/crc32c.ts';
import type { Random } from '../../src/base/random.ts';
import type { MemberId, RequestId, Term } from '../../src/model/ids.ts';
import { EMPTY_RECOVERED_LOG, type Entry, type HardState, type PersistBatch } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import type { RaftEffect, RaftInput, RaftMessage } from '../../src/raft/messages.ts';
import type { Raft } from '../../src/raft/raft.ts';
import { member } from './world.ts';

/** What one node goes through. */
export type Act =
  | { readonly kind: 'start' }
  | { readonly kind: 'timer' }
  | { readonly kind: 'heartbeat' }
  | { readonly kind: 'propose' }
  | { readonly kind: 'sync' }
  | { readonly kind: 'crash' }
  | { readonly kind: 'message'; readonly id: number };

export interface Disk {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}

export interface Envelope {
  readonly from: number;
  readonly to: number;
  readonly message: RaftMessage;
  readonly name: string;
}

/** One history of one node, and what came of it. */
export interface Life {
  readonly id: number;
  readonly node: number;
  /** The disk that its process started with, and the inputs since. */
  readonly born: Disk;
  readonly acts: readonly Act[];
  readonly disk: Disk;
  readonly queue: readonly PersistBatch[];
  readonly role: string;
  readonly term: Term;
  readonly commitIndex: number;
  /** `term.kind.crc` of every entry that is written or about to be, in order. */
  readonly written: readonly string[];
  readonly durable: readonly string[];
  /** Has heard from a leader, or started, since it last waited. */
  readonly isBound: boolean;
  /** All of the above, and the core's whole state. */
  readonly fingerprint: string;
}

export const NAMES: readonly string[] = ['n1', 'n2', 'n3'];
export const MEMBERS: readonly MemberId[] = NAMES.map(member);
/** Every timeout is drawn from its middle: at 1.5 E, so that a follower can have waited E without campaigning. */
const MIDDLE: Random = { next: () => 0.5 };
const ELECTION_MS = DEFAULT_RAFT_CONFIG.electionMs;
/** A core that lives through a history, and its disk. */
export class Core {
  readonly #raft: Raft;
  readonly #node: number;
  readonly #hasSlowDisk: boolean;
  readonly #envelope: (id: number) => Envelope;
  #now = 1_000;
  #disk: Disk;
  #queue: PersistBatch[] = [];
  #isBound = true;
  #requests = 0;
  /** By the last act. */
  sent: { readonly to: MemberId; readonly message: RaftMessage }[] = [];

  constructor(
    { node, disk, raft, hasSlowDisk }: { node: number; disk: Disk; raft: typeof Raft; hasSlowDisk: boolean },
    envelope: (id: number) => Envelope,
  ) {
    this.#hasSlowDisk = hasSlowDisk;
    const recovered = { ...EMPTY_RECOVERED_LOG, ...disk };
    this.#raft = new raft(
      DEFAULT_RAFT_CONFIG,
      present(MEMBERS[node], 'a node has an id'),
      recovered,
      MIDDLE,
      this.#now,
    );
    this.#node = node;
    this.#disk = disk;
    this.#envelope = envelope;
  }

  act(act: Act): void {
    this.sent = [];
    this.#do(act);
    while (!this.#hasSlowDisk && this.#queue.length > 0) this.#do({ kind: 'sync' });
  }

  #do(act: Act): void {
    switch (act.kind) {
      case 'start':
        return this.#tick();
      case 'timer':
      case 'heartbeat':
        return this.#passUntil(() => this.sent.length > 0 || this.#queue.length > 0, act.kind);
      case 'propose':
        this.#requests += 1;
        return this.#input({ kind: 'propose', requestId: this.#requests as RequestId, items: [utf8(`${this.#node}`)] });
      case 'sync': {
        const batch = present(this.#queue.shift(), 'a disk has work');
        this.#disk = written(this.#disk, batch);
        return this.#input({ kind: 'persisted', batchSeq: batch.batchSeq });
      }
      case 'message':
        return this.#take(this.#envelope(act.id));
      case 'crash':
        throw new Error('a life ends with a crash');
    }
  }

  read(): Omit<Life, 'id' | 'node' | 'born' | 'acts'> {
    const { role, term, commitIndex } = this.#raft;
    const disk = this.#disk;
    const all = this.#queue.reduce(written, disk).entries;
    return {
      disk,
      queue: this.#queue,
      role,
      term,
      commitIndex,
      written: all.map(nameOf),
      durable: disk.entries.map(nameOf),
      isBound: this.#isBound,
      fingerprint: fingerprintOf([this.#node, this.#isBound, this.#requests, disk, this.#queue, this.#raft]),
    };
  }

  /** Asked for its vote, it has heard no leader for as long as it takes: what the bond forbids could happen a little later anyway. */
  #take({ from, message }: Envelope): void {
    const isVoteAsked = message.kind === 'preVoteReq' || message.kind === 'voteReq';
    if (isVoteAsked && this.#isBound && this.#raft.role !== 'leader') {
      this.#isBound = false;
      const end = this.#now + ELECTION_MS + 1;
      this.#passUntil(() => this.#now >= end, 'wait', end);
      this.sent = [];
    }
    if (message.kind === 'heartbeat' || message.kind === 'appendReq') this.#isBound = true;
    this.#input({ kind: 'message', from: present(MEMBERS[from], 'a sender'), message });
  }

  #passUntil(isReached: () => boolean, what: string, end = Number.POSITIVE_INFINITY): void {
    for (let turns = 0; !isReached(); turns++) {
      assert(turns < 500, `${what}: nothing comes of waiting`);
      this.#now = Math.min(end, Math.max(this.#raft.nextDeadline(), this.#now + 0.01));
      this.#tick();
    }
  }

  #input(input: RaftInput): void {
    const effects: RaftEffect[] = [];
    this.#raft.step(input, this.#now, effects);
    this.#perform(effects);
    this.#tick();
  }

  #tick(): void {
    for (let turns = 0; turns < 20; turns++) {
      const effects: RaftEffect[] = [];
      this.#raft.tick(this.#now, effects);
      this.#perform(effects);
      if (this.#raft.nextDeadline() > this.#now) return;
    }
  }

  #perform(effects: readonly RaftEffect[]): void {
    this.#raft.check();
    for (const effect of effects) {
      if (effect.kind === 'persist') this.#queue.push(effect.batch);
      if (effect.kind === 'send') {
        checkPromise(this.#disk, effect.to, effect.message);
        this.sent.push(effect);
      }
      if (effect.kind === 'commit') {
        const index = present(effect.entries.at(-1), 'a commit has entries').index;
        const more: RaftEffect[] = [];
        this.#raft.step({ kind: 'applied', index }, this.#now, more);
        this.#perform(more);
      }
    }
  }
}

/** I-14: a vote and an acknowledgement are durable when they leave. */
function checkPromise({ hardState, entries }: Disk, to: MemberId, message: RaftMessage): void {
  if (message.kind === 'voteResp' && message.granted)
    assert(hardState.term === message.term && hardState.vote === to, 'I-14: a vote is durable');
  if (message.kind === 'appendOk') assert(entries.length >= message.match, 'I-14: what is acknowledged is durable');
}

function written(disk: Disk, { hardState, truncateFrom, entries }: PersistBatch): Disk {
  const kept = disk.entries.filter(({ index }) => truncateFrom === undefined || index < truncateFrom);
  return { hardState: hardState ?? disk.hardState, entries: [...kept, ...(entries ?? [])] };
}

export function nameOf({ term, kind, data }: { term: Term; kind: string; data: Uint8Array }): string {
  return `${term}.${kind}.${crc32c(data)}`;
}

/** What counters have counted, and the list that the last effects went to, decide nothing. */
const DECIDES_NOTHING: ReadonlySet<string> = new Set(['counters', 'effects']);

function fingerprintOf(parts: readonly unknown[]): string {
  const seen: Map<object, number> = new Map();
  return JSON.stringify(parts, (key, value: unknown) => {
    if (DECIDES_NOTHING.has(key) || typeof value === 'function') return undefined;
    if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
    if (typeof value !== 'object' || value === null) return value;
    const known = seen.get(value);
    if (known !== undefined) return `as ${known}`;
    seen.set(value, seen.size);
    if (value instanceof Map) return [...value].sort();
    return value instanceof Set ? [...(value as Set<unknown>)].sort() : value;
  });
}
