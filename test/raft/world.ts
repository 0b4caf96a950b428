/**
 * A few Raft cores, their disks and the network between them, in one thread and on invented time. Disks make batches durable one after
 * the other and lose the rest in a crash; clocks run at rates of their own; messages travel as bytes.
 */
import { assert, present } from '../../src/base/assert.ts';
import { DeadlineHeap } from '../../src/base/deadline-heap.ts';
import { DecodeError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import { SeededRandom, randomBetween } from '../../src/base/random.ts';
import type { ClusterId, LogIndex, MemberId, RequestId, Term } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION } from '../../src/model/log.ts';
import type { Configuration, Entry, HardState, PersistBatch, RecoveredLog, SnapshotMeta } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import type { RaftConfig } from '../../src/raft/config.ts';
import type { RaftEffect, RaftEvent, RaftInput, RaftMessage, RaftOutcome } from '../../src/raft/messages.ts';
import { Raft } from '../../src/raft/raft.ts';
import { encodeConfiguration } from '../../src/wire/raft/entry.ts';
import { decodeRaftMessage, encodeRaftMessage } from '../../src/wire/raft/rpc.ts';
import { WorldChecks } from './world-checks.ts';

export const WORLD_CLUSTER: ClusterId = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;

/** `n1` is member `n1@000…1`; `n1.2` is the second stamp of that name. */
export function member(name: string): MemberId {
  const [id, stamp] = name.split('.');
  return `${id}@${(stamp ?? '1').padStart(16, '0')}` as MemberId;
}

export function nameOf(id: MemberId): string {
  const at = id.lastIndexOf('@');
  const stamp = id.slice(at + 1).replace(/^0+/, '');
  return stamp === '1' ? id.slice(0, at) : `${id.slice(0, at)}.${stamp}`;
}

export function configurationOf(voters: readonly string[], learners: readonly string[] = []): Configuration {
  return { ...EMPTY_CONFIGURATION, voters: voters.map(member).sort(), learners: learners.map(member).sort() };
}

export function foundingEntry(configuration: Configuration): Entry {
  return { index: 1 as LogIndex, term: 1 as Term, kind: 'config', data: encodeConfiguration(configuration) };
}

export interface WorldOptions {
  readonly seed: number;
  readonly delayMs: readonly [number, number];
  readonly diskMs: readonly [number, number];
  readonly loss: number;
  readonly duplicates: number;
  /** Largest rate error of a node's clock. */
  readonly rateError: number;
  /** The chance that inputs of one instant are not flushed at once. */
  readonly lateFlush: number;
  readonly config: RaftConfig;
  readonly raft: typeof Raft;
}

export const CALM_WORLD: Omit<WorldOptions, 'seed'> = {
  delayMs: [1, 1],
  diskMs: [1, 1],
  loss: 0,
  duplicates: 0,
  rateError: 0,
  lateFlush: 0,
  config: DEFAULT_RAFT_CONFIG,
  raft: Raft,
};

/** What is on a node's disk for certain. */
export interface Disk {
  hardState: HardState;
  entries: Entry[];
  snapshot: SnapshotMeta | undefined;
}

type DiskWork =
  | { readonly kind: 'batch'; readonly batch: PersistBatch }
  | { readonly kind: 'install'; readonly meta: SnapshotMeta };

export interface Node {
  readonly id: MemberId;
  raft: Raft | undefined;
  disk: Disk;
  queue: DiskWork[];
  /** Rises with every crash: what an earlier life has scheduled no longer counts. */
  life: number;
  pausedUntil: number;
  readonly rate: number;
  readonly offset: number;
  appliedIndex: number;
  wakeAt: number;
  /** Disk work takes so much longer. */
  diskSlowMs: number;
}

export interface Asked {
  readonly node: MemberId;
  readonly life: number;
  readonly input: RaftInput;
  readonly committedBefore: number;
  outcome: RaftOutcome | undefined;
}

export class World {
  readonly options: WorldOptions;
  readonly random: Random;
  readonly nodes: Map<MemberId, Node> = new Map();
  readonly checks: WorldChecks;
  readonly asked: Map<RequestId, Asked> = new Map();
  readonly events: { readonly at: number; readonly node: MemberId; readonly event: RaftEvent }[] = [];
  /** Directed pairs `from>to` that let nothing through. */
  readonly cuts: Set<string> = new Set();
  /** Sees every message that is about to leave; false swallows it. */
  filter: ((from: MemberId, to: MemberId, message: RaftMessage) => boolean) | undefined;
  /** The last messages sent, for the network to deliver again much later. */
  readonly recent: { readonly from: MemberId; readonly to: MemberId; readonly bytes: Uint8Array }[] = [];
  now = 0;
  turns = 0;
  #nextRequest = 1;
  readonly #events: DeadlineHeap<() => void> = new DeadlineHeap();

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = new SeededRandom(options.seed);
    this.checks = new WorldChecks(this);
  }

  /** Every one of `voters` starts with the founding entry on its disk. */
  found(voters: readonly string[], learners: readonly string[] = []): void {
    const founding = foundingEntry(configurationOf(voters, learners));
    this.checks.founded(founding);
    for (const name of [...voters, ...learners]) this.addNode(name, [founding]);
    for (const name of [...voters, ...learners]) this.start(member(name));
  }

  /** A node that is not running yet. */
  addNode(name: string, entries: readonly Entry[] = []): Node {
    const { rateError } = this.options;
    const term = entries.at(-1)?.term ?? (0 as Term);
    const node: Node = {
      id: member(name),
      raft: undefined,
      disk: { hardState: { term, vote: null }, entries: [...entries], snapshot: undefined },
      queue: [],
      life: 0,
      pausedUntil: 0,
      rate: 1 + randomBetween(this.random, -rateError, rateError),
      offset: Math.floor(this.random.next() * 1e6),
      appliedIndex: 0,
      wakeAt: Number.POSITIVE_INFINITY,
      diskSlowMs: 0,
    };
    this.nodes.set(node.id, node);
    return node;
  }

  node(id: MemberId): Node {
    return present(this.nodes.get(id), `${id} exists`);
  }

  running(): Node[] {
    return [...this.nodes.values()].filter((node) => node.raft !== undefined);
  }

  raftOf(id: MemberId): Raft {
    return present(this.node(id).raft, `${id} runs`);
  }

  /** The leader of the highest term among running nodes. */
  leader(): Node | undefined {
    const leaders = this.running().filter((node) => node.raft?.role === 'leader');
    return leaders.sort((a, b) => (b.raft?.term ?? 0) - (a.raft?.term ?? 0))[0];
  }

  localNow(node: Node): number {
    return node.offset + this.now * node.rate;
  }

  start(id: MemberId): void {
    const node = this.node(id);
    if (node.raft !== undefined) return;
    const { disk } = node;
    const recovered: RecoveredLog = {
      hardState: disk.hardState,
      snapshot: disk.snapshot === undefined ? undefined : { meta: disk.snapshot, bytes: new Uint8Array(0) },
      entries: disk.entries,
      commitHint: 0 as LogIndex,
      tornTail: undefined,
    };
    const random = new SeededRandom(Math.floor(this.random.next() * 2 ** 32));
    node.raft = new this.options.raft(this.options.config, id, recovered, random, this.localNow(node));
    node.appliedIndex = disk.snapshot?.lastLog.index ?? 0;
    this.checks.started(node);
    this.#wake(node);
  }

  /** Work of the disk that was under way may have been done, or not; what waited behind it is lost. */
  crash(id: MemberId): void {
    const node = this.node(id);
    if (node.raft === undefined) return;
    node.raft = undefined;
    node.life += 1;
    node.pausedUntil = 0;
    const underWay = node.queue[0];
    if (underWay !== undefined && this.random.next() < 0.5) this.#doDiskWork(node, underWay);
    node.queue = [];
    node.wakeAt = Number.POSITIVE_INFINITY;
  }

  pause(id: MemberId, ms: number): void {
    this.node(id).pausedUntil = this.now + ms;
  }

  cut(from: MemberId, to: MemberId): void {
    this.cuts.add(`${from}>${to}`);
  }

  /** Nobody outside a group hears anybody inside it. */
  partition(groups: readonly (readonly MemberId[])[]): void {
    for (const group of groups) {
      for (const inside of group) {
        for (const other of this.nodes.keys()) {
          if (group.includes(other)) continue;
          this.cut(inside, other);
          this.cut(other, inside);
        }
      }
    }
  }

  heal(): void {
    this.cuts.clear();
  }

  ask(id: MemberId, input: (requestId: RequestId) => RaftInput): RequestId {
    const requestId = this.#nextRequest as RequestId;
    this.#nextRequest += 1;
    const node = this.node(id);
    const question = input(requestId);
    this.asked.set(requestId, {
      node: id,
      life: node.life,
      input: question,
      committedBefore: this.checks.committedThrough,
      outcome: undefined,
    });
    this.step(node, question);
    return requestId;
  }

  outcomeOf(requestId: RequestId): RaftOutcome | undefined {
    return this.asked.get(requestId)?.outcome;
  }

  /** Runs everything that is due within the next `ms`. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const at = this.#events.next();
      if (at > until) break;
      this.now = Math.max(this.now, at);
      present(this.#events.popDue(at), 'an event is due')();
    }
    this.now = until;
  }

  /** Runs until `condition` holds; false when it does not within `ms`. */
  advanceUntil(condition: () => boolean, ms: number): boolean {
    const until = this.now + ms;
    while (!condition()) {
      if (this.now >= until) return false;
      this.advance(Math.min(1, until - this.now));
    }
    return true;
  }

  at(ms: number, run: () => void): void {
    this.#events.set(() => run(), this.now + ms);
  }

  /** One input, and the end of its turn now or a little later. A paused node takes it in when it wakes. */
  step(node: Node, input: RaftInput): void {
    this.#whenAwake(node, () => {
      if (node.raft === undefined) return;
      const { commitIndex } = node.raft;
      this.#turn(node, (effects) => node.raft?.step(input, this.localNow(node), effects));
      if (input.kind === 'message') this.checks.taken(node, input.message, commitIndex);
      if (this.random.next() < this.options.lateFlush) this.at(this.random.next(), () => this.#flushIfDue(node));
      else this.#tick(node);
    });
  }

  /** A snapshot of all that is applied; `trailing` entries stay. */
  compact(id: MemberId, trailing: number): boolean {
    const node = this.node(id);
    const { raft } = node;
    if (raft === undefined || node.pausedUntil > this.now) return false;
    const index = node.appliedIndex as LogIndex;
    const { configuration, index: configurationIndex } = raft.committedConfiguration;
    const term = raft.termAt(index);
    if (term === undefined || index === 0 || configurationIndex > index) return false;
    const lastLog = { term, index };
    const meta: SnapshotMeta = { clusterId: WORLD_CLUSTER, lastLog, configuration, configurationIndex };
    const firstIndex = Math.max(1, Math.min(index - trailing, raft.compactFloor)) as LogIndex;
    node.disk.snapshot = meta;
    node.disk.entries = node.disk.entries.filter((entry) => entry.index >= firstIndex);
    this.step(node, { kind: 'compacted', meta, firstIndex });
    return true;
  }

  #whenAwake(node: Node, act: () => void): void {
    if (node.pausedUntil <= this.now) return act();
    const { life } = node;
    this.#events.set(() => {
      if (node.life === life) this.#whenAwake(node, act);
    }, node.pausedUntil);
  }

  #wake(node: Node): void {
    if (node.raft === undefined) return;
    const deadline = (node.raft.nextDeadline() - node.offset) / node.rate;
    // A hair later, so that rounding between two clocks does not wake the node just before its time.
    const at = Math.max(this.now, deadline + 1e-6);
    if (at === node.wakeAt || at === Number.POSITIVE_INFINITY) return;
    node.wakeAt = at;
    const { life } = node;
    this.#events.set(() => {
      if (node.life !== life || node.wakeAt !== at) return;
      node.wakeAt = Number.POSITIVE_INFINITY;
      this.#whenAwake(node, () => this.#tick(node));
    }, at);
  }

  #flushIfDue(node: Node): void {
    this.#whenAwake(node, () => {
      if (node.raft !== undefined && node.raft.nextDeadline() <= this.localNow(node)) this.#tick(node);
    });
  }

  #tick(node: Node): void {
    if (node.raft === undefined) return;
    this.#turn(node, (effects) => node.raft?.tick(this.localNow(node), effects));
    this.#wake(node);
  }

  #turn(node: Node, act: (effects: RaftEffect[]) => void): void {
    const effects: RaftEffect[] = [];
    this.turns += 1;
    act(effects);
    this.checks.afterTurn(node, effects);
    for (const effect of effects) this.#perform(node, effect);
  }

  #perform(node: Node, effect: RaftEffect): void {
    switch (effect.kind) {
      case 'persist':
        return this.#enqueue(node, { kind: 'batch', batch: effect.batch });
      case 'installSnapshot':
        return this.#enqueue(node, { kind: 'install', meta: effect.meta });
      case 'send':
        return this.#send(node, effect.to, effect.message);
      case 'commit':
        node.appliedIndex = present(effect.entries.at(-1), 'a commit has entries').index;
        return this.step(node, { kind: 'applied', index: node.appliedIndex as LogIndex });
      case 'reply':
        return this.#onReply(effect.requestId, effect.outcome);
      case 'streamSnapshot':
        return this.#stream(node, effect.to, effect.minIndex);
      case 'notify':
        this.events.push({ at: this.now, node: node.id, event: effect.event });
        return;
      case 'stop':
        return this.crash(node.id);
    }
  }

  #onReply(requestId: RequestId, outcome: RaftOutcome): void {
    const asked = present(this.asked.get(requestId), 'a reply answers a request');
    assert(asked.outcome === undefined, 'I-22: a request is answered once');
    asked.outcome = outcome;
    this.checks.replied(asked, outcome);
  }

  #enqueue(node: Node, work: DiskWork): void {
    node.queue.push(work);
    if (node.queue.length === 1) this.#startDiskWork(node);
  }

  #startDiskWork(node: Node): void {
    const { life } = node;
    this.at(randomBetween(this.random, ...this.options.diskMs) + node.diskSlowMs, () => {
      if (node.life !== life) return;
      const work = present(node.queue[0], 'disk work is queued');
      this.#doDiskWork(node, work);
      node.queue.shift();
      if (node.queue.length > 0) this.#startDiskWork(node);
      if (work.kind === 'batch') this.step(node, { kind: 'persisted', batchSeq: work.batch.batchSeq });
      else {
        node.appliedIndex = work.meta.lastLog.index;
        this.step(node, { kind: 'snapshotInstalled', meta: work.meta });
      }
    });
  }

  #doDiskWork(node: Node, work: DiskWork): void {
    const { disk } = node;
    if (work.kind === 'install') {
      disk.snapshot = work.meta;
      disk.entries = [];
      return;
    }
    const { hardState, truncateFrom, entries } = work.batch;
    if (hardState !== undefined) disk.hardState = hardState;
    if (truncateFrom !== undefined) disk.entries = disk.entries.filter((entry) => entry.index < truncateFrom);
    for (const entry of entries ?? []) {
      const last = disk.entries.at(-1)?.index ?? disk.snapshot?.lastLog.index ?? 0;
      assert(entry.index === last + 1, 'a log on disk has no gap');
      disk.entries.push(entry);
    }
    this.checks.durable(node);
  }

  #send(node: Node, to: MemberId, message: RaftMessage): void {
    if (this.filter !== undefined && !this.filter(node.id, to, message)) return;
    const bytes = encodeRaftMessage(message);
    this.recent.push({ from: node.id, to, bytes });
    if (this.recent.length > 400) this.recent.shift();
    const copies = this.random.next() < this.options.duplicates ? 2 : 1;
    for (let i = 0; i < copies; i++) this.transmit(node.id, to, bytes);
  }

  transmit(from: MemberId, to: MemberId, bytes: Uint8Array): void {
    if (this.cuts.has(`${from}>${to}`) || this.random.next() < this.options.loss) return;
    const [least, most] = this.options.delayMs;
    // Mostly quick, sometimes as slow as can be: the tail is what reorders.
    const delay = least + (most - least) * this.random.next() ** 3;
    this.at(delay, () => {
      const target = this.nodes.get(to);
      if (target?.raft === undefined || this.cuts.has(`${from}>${to}`)) return;
      const message = decodeRaftMessage(bytes);
      assert(!(message instanceof DecodeError), 'what a core sends can be read');
      // Those who were asleep may find their sockets and their own callers' requests in either order.
      const jitterMs = target.pausedUntil > this.now ? target.pausedUntil - this.now + this.random.next() : 0;
      this.at(jitterMs, () => this.step(target, { kind: 'message', from, message }));
    });
  }

  #stream(node: Node, to: MemberId, minIndex: LogIndex): void {
    const meta = present(node.disk.snapshot, 'a leader that streams has a snapshot');
    assert(meta.lastLog.index >= minIndex, 'the newest snapshot reaches the log');
    const term = present(node.raft, 'the leader runs').term;
    const { life } = node;
    this.at(randomBetween(this.random, ...this.options.delayMs) * 3, () => {
      const target = this.nodes.get(to);
      const isLost =
        target?.raft === undefined || this.cuts.has(`${node.id}>${to}`) || this.random.next() < this.options.loss;
      if (!isLost && target !== undefined) {
        this.step(target, { kind: 'snapshotReceived', from: node.id, term, meta });
      }
      if (node.life === life) this.step(node, { kind: 'snapshotStatus', peer: to, ok: !isLost });
    });
  }
}
