/**
 * Small scopes to their end (reliability.md 4, L5): three Raft cores and every order in which their timers fire, their messages arrive or never do,
 * their disks finish, a client asks and a process dies, within a few of each. Breadth first: what is found is as short as can be.
 *
 * What is explored is the core that ships, whose inner state cannot be copied: a node is its history, the disk that it started with and the
 * inputs since, and is brought back by living through it again. Histories that end in the same state are one; for that the core must be
 * one whose private fields can be read, a copy that {@link openFields} has rewritten.
 */
import { assert, present } from '../../src/base/assert.ts';
import { crc32c } from '../../src/base/crc32c.ts';
import { utf8 } from '../../src/base/bytes.ts';
import type { Random } from '../../src/base/random.ts';
import type { MemberId, RequestId, Term } from '../../src/model/ids.ts';
import { EMPTY_RECOVERED_LOG, type Entry, type HardState, type PersistBatch } from '../../src/model/log.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import type { RaftEffect, RaftInput, RaftMessage } from '../../src/raft/messages.ts';
import type { Raft } from '../../src/raft/raft.ts';
import { encodeRaftMessage } from '../../src/wire/raft/rpc.ts';
import { configurationOf, foundingEntry, member } from './world.ts';

/** How much may happen. */
export interface Scope {
  /** Election timers that fire, in all nodes together. The first is always the first node's: the three are alike. */
  readonly timeouts: number;
  /** Heartbeat timers of leaders. */
  readonly heartbeats: number;
  readonly proposals: number;
  /** A crash with what was durable, and the start after it. */
  readonly crashes: number;
  /** A disk finishes when it will, in the midst of anything; else before its node does anything more. */
  readonly hasSlowDisks: boolean;
  /** No further states beyond these. */
  readonly statesMax: number;
}

export interface Explored {
  readonly states: number;
  /** Histories of single nodes that were lived through. */
  readonly lives: number;
  /** Inputs on the longest way. */
  readonly depth: number;
  /** All that can happen within the scope has been looked at. */
  readonly isExhausted: boolean;
  /** States in which some node leads, and such in which an entry of a client is committed. */
  readonly led: number;
  readonly committed: number;
}

/** What one node goes through. */
type Act =
  | { readonly kind: 'start' }
  | { readonly kind: 'timer' }
  | { readonly kind: 'heartbeat' }
  | { readonly kind: 'propose' }
  | { readonly kind: 'sync' }
  | { readonly kind: 'crash' }
  | { readonly kind: 'message'; readonly id: number };

interface Disk {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}

interface Envelope {
  readonly from: number;
  readonly to: number;
  readonly message: RaftMessage;
  readonly name: string;
}

/** One history of one node, and what came of it. */
interface Life {
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

interface Step {
  readonly life: Life;
  readonly sends: readonly number[];
}

interface World {
  readonly lives: readonly Life[];
  /** Messages that have not arrived, by number, sorted. One that is lost stays for ever. */
  readonly bag: readonly number[];
  /** The longest list of entries that anybody has known to be committed, each with the term in which it was: `entry@term`. */
  readonly ledger: number;
  /** Who led which term, as `term=node`. */
  readonly leaders: number;
  readonly left: { readonly timeouts: number; readonly heartbeats: number; readonly proposals: number };
  readonly crashesLeft: number;
  readonly number: number;
}

const NAMES: readonly string[] = ['n1', 'n2', 'n3'];
const MEMBERS: readonly MemberId[] = NAMES.map(member);
/** Every timeout is drawn from its middle: at 1.5 E, so that a follower can have waited E without campaigning. */
const MIDDLE: Random = { next: () => 0.5 };
const ELECTION_MS = DEFAULT_RAFT_CONFIG.electionMs;
const QUORUM = 2;

export class Violation extends Error {}

/** Explores all of `scope`; throws a {@link Violation} that tells the shortest way to a broken promise. */
export function explore(scope: Scope, raft: typeof Raft): Explored {
  return new Exploration(scope, raft).go();
}

/** The code of a module with every private field made a public one. */
export function openFields(code: string): string {
  return code.replaceAll(/(?<=[\s.!(])#(?=[a-z])/g, '$');
}

class Exploration {
  readonly #scope: Scope;
  readonly #raft: typeof Raft;
  readonly #steps: Map<string, Step> = new Map();
  readonly #envelopes: Envelope[] = [];
  readonly #envelopeIds: Map<string, number> = new Map();
  readonly #texts: string[] = [];
  readonly #textIds: Map<string, number> = new Map();
  readonly #seen: SeenStates;
  /** Per state: whence it came, and by what. */
  readonly #parents: number[] = [];
  readonly #acts: number[] = [];
  readonly #lives: Map<string, Life> = new Map();
  #led = 0;
  #committed = 0;
  #isCut = false;

  constructor(scope: Scope, raft: typeof Raft) {
    this.#scope = scope;
    this.#raft = raft;
    this.#seen = new SeenStates(scope.statesMax);
  }

  go(): Explored {
    let depth = 0;
    for (let level = [this.#first()]; level.length > 0; depth++) {
      const next: World[] = [];
      for (const world of level) this.#expand(world, next);
      if (next.length === 0) break;
      level = next;
    }
    const states = this.#parents.length;
    const [led, committed] = [this.#led, this.#committed];
    return { states, lives: this.#lives.size, depth, isExhausted: !this.#isCut, led, committed };
  }

  #first(): World {
    const founding = foundingEntry(configurationOf(NAMES));
    const disk = { hardState: { term: founding.term, vote: null }, entries: [founding] };
    const { timeouts, heartbeats, proposals, crashes } = this.#scope;
    this.#parents.push(-1);
    this.#acts.push(-1);
    return {
      lives: NAMES.map((_, node) => this.#live(node, disk, [{ kind: 'start' }]).life),
      bag: [],
      ledger: this.#text(`${nameOf(founding)}@${founding.term}`),
      leaders: this.#text(''),
      left: { timeouts, heartbeats, proposals },
      crashesLeft: crashes,
      number: 0,
    };
  }

  #expand(world: World, next: World[]): void {
    const { lives, bag, left } = world;
    for (const [at, id] of bag.entries()) {
      if (bag[at - 1] === id) continue;
      const { to } = present(this.#envelopes[id], 'a message has its envelope');
      this.#do(world, to, { kind: 'message', id }, { bag: bag.toSpliced(at, 1) }, next);
    }
    for (const [node, { role, queue }] of lives.entries()) {
      const isLeader = role === 'leader';
      if (queue.length > 0) this.#do(world, node, { kind: 'sync' }, {}, next);
      if (!isLeader && left.timeouts > 0 && (node === 0 || left.timeouts < this.#scope.timeouts))
        this.#do(world, node, { kind: 'timer' }, { left: { ...left, timeouts: left.timeouts - 1 } }, next);
      if (isLeader && left.heartbeats > 0)
        this.#do(world, node, { kind: 'heartbeat' }, { left: { ...left, heartbeats: left.heartbeats - 1 } }, next);
      if (isLeader && left.proposals > 0)
        this.#do(world, node, { kind: 'propose' }, { left: { ...left, proposals: left.proposals - 1 } }, next);
      if (world.crashesLeft > 0) this.#do(world, node, { kind: 'crash' }, { crashesLeft: world.crashesLeft - 1 }, next);
    }
  }

  #do(world: World, node: number, act: Act, change: Partial<World>, next: World[]): void {
    const before = present(world.lives[node], 'a node has a life');
    let step: Step;
    try {
      step = this.#step(before, act);
    } catch (error) {
      throw this.#violation(world, node, act, (error as Error).message);
    }
    const bag = [...(change.bag ?? world.bag), ...step.sends]
      .filter((id) => !this.#isOver(id, step.life))
      .sort((a, b) => a - b);
    const lives = world.lives.with(node, step.life);
    const draft = { ...world, ...change, lives, bag };
    const broken = this.#check(draft, node);
    if ('broken' in broken) throw this.#violation(world, node, act, broken.broken);
    const after: World = { ...draft, ...broken, number: this.#parents.length };
    if (this.#parents.length >= this.#scope.statesMax) this.#isCut = true;
    if (this.#isCut || !this.#seen.add(numbersOf(after))) return;
    this.#parents.push(world.number);
    this.#acts.push(this.#text(`${NAMES[node]}: ${this.#tell(act)}`));
    if (lives.some(({ role }) => role === 'leader')) this.#led += 1;
    if (this.#textOf(after.ledger).includes('command')) this.#committed += 1;
    next.push(after);
  }

  /** What the world knows by now of leaders and of commits; or what is broken. */
  #check(world: World, node: number): Pick<World, 'ledger' | 'leaders'> | { readonly broken: string } {
    const life = present(world.lives[node], 'a node has a life');
    const ledger = this.#textOf(world.ledger).split(' ').map(committedOf);
    let { leaders } = world;
    for (const other of world.lives) {
      if (other.node === node) continue;
      const broken = mismatch(life.written, other.written);
      if (broken !== undefined) return { broken: `I-3: ${NAMES[node]} and ${NAMES[other.node]} ${broken}` };
    }
    if (life.role === 'leader') {
      const claim = `${life.term}=${node}`;
      const known = this.#textOf(leaders).split(' ');
      const other = known.find((one) => one.startsWith(`${life.term}=`));
      if (other !== undefined && other !== claim) return { broken: `I-1: two nodes lead term ${life.term}` };
      if (other === undefined) {
        if (ledger.some(({ entry, term }, i) => term < life.term && life.written[i] !== entry))
          return { broken: `I-4: ${NAMES[node]} leads term ${life.term} and lacks what is committed` };
        leaders = this.#text(
          [...known, claim]
            .filter((one) => one !== '')
            .sort()
            .join(' '),
        );
      }
    }
    const known = life.written.slice(0, life.commitIndex);
    const common = Math.min(known.length, ledger.length);
    for (let i = 0; i < common; i++)
      if (known[i] !== ledger[i]?.entry)
        return { broken: `I-5: ${NAMES[node]} takes another entry ${i + 1} for committed` };
    if (known.length <= ledger.length) return { ledger: world.ledger, leaders };
    const ownTerm = `${life.term}.`;
    if (life.role === 'leader' && known.at(-1)?.startsWith(ownTerm) !== true)
      return { broken: `I-12: ${NAMES[node]} counts an entry of an older term as committed` };
    const holders = world.lives.filter(({ durable }) => known.every((entry, i) => durable[i] === entry));
    if (holders.length < QUORUM)
      return { broken: `I-13: entry ${known.length} is committed and on the disks of ${holders.length}` };
    const added = known.slice(ledger.length).map((entry) => `${entry}@${life.term}`);
    return { ledger: this.#text([this.#textOf(world.ledger), ...added].join(' ')), leaders };
  }

  /**
   * A message that changes nothing now, and never will: of a term that its receiver's disk has left behind, or an answer to what its receiver
   * has ceased to be in that term. Left in the bag it would double all that follows.
   */
  #isOver(id: number, receiver: Life): boolean {
    const { to, message } = present(this.#envelopes[id], 'a message has its envelope');
    if (to !== receiver.node || !(message.term < receiver.disk.hardState.term || isLateAnswer(message, receiver)))
      return false;
    const { life, sends } = this.#step(receiver, { kind: 'message', id });
    return life === receiver && sends.length === 0;
  }

  #step(before: Life, act: Act): Step {
    const key = `${before.id} ${act.kind} ${act.kind === 'message' ? act.id : ''}`;
    const known = this.#steps.get(key);
    if (known !== undefined) return known;
    const { node, disk } = before;
    const step =
      act.kind === 'crash'
        ? this.#live(node, disk, [{ kind: 'start' }])
        : this.#live(node, before.born, [...before.acts, act]);
    this.#steps.set(key, step);
    return step;
  }

  /** Lives through a history; what its last act has sent is what counts as sent. */
  #live(node: number, born: Disk, acts: readonly Act[]): Step {
    const core = new Core({ node, disk: born, raft: this.#raft, hasSlowDisk: this.#scope.hasSlowDisks }, (id) =>
      present(this.#envelopes[id], 'a message has its envelope'),
    );
    for (const act of acts) core.act(act);
    const sends = core.sent.map(({ to, message }) => this.#envelope(node, to, message));
    const read = core.read();
    const life = this.#lives.get(read.fingerprint) ?? { ...read, id: this.#lives.size, node, born, acts };
    this.#lives.set(read.fingerprint, life);
    return { life, sends };
  }

  #envelope(from: number, to: MemberId, message: RaftMessage): number {
    const target = MEMBERS.indexOf(to);
    const key = `${from} ${target} ${Buffer.from(encodeRaftMessage(message)).toString('latin1')}`;
    const known = this.#envelopeIds.get(key);
    if (known !== undefined) return known;
    const name = `${message.kind} of term ${message.term} from ${NAMES[from]}`;
    const id = this.#envelopes.push({ from, to: target, message, name }) - 1;
    this.#envelopeIds.set(key, id);
    return id;
  }

  #text(text: string): number {
    const known = this.#textIds.get(text);
    if (known !== undefined) return known;
    const id = this.#texts.push(text) - 1;
    this.#textIds.set(text, id);
    return id;
  }

  #textOf(id: number): string {
    return present(this.#texts[id], 'a text that was kept');
  }

  #tell(act: Act): string {
    return act.kind === 'message' ? `takes ${this.#envelopes[act.id]?.name}` : act.kind;
  }

  #violation(world: World, node: number, act: Act, broken: string): Violation {
    const way = [`${NAMES[node]}: ${this.#tell(act)}`];
    for (let at = world.number; at > 0; at = this.#parents[at] as number)
      way.push(this.#textOf(this.#acts[at] as number));
    return new Violation([`${broken}, after ${way.length} steps:`, ...way.reverse()].join('\n  '));
  }
}

/** A core that lives through a history, and its disk. */
class Core {
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

function isLateAnswer(message: RaftMessage, { role, term }: Life): boolean {
  switch (message.kind) {
    case 'preVoteResp':
      return message.nextTerm <= term;
    case 'voteResp':
      return message.term <= term && role !== 'candidate';
    case 'appendOk':
    case 'appendRejected':
    case 'heartbeatResp':
      return message.term <= term;
    default:
      return false;
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

function nameOf({ term, kind, data }: { term: Term; kind: string; data: Uint8Array }): string {
  return `${term}.${kind}.${crc32c(data)}`;
}

function committedOf(text: string): { readonly entry: string; readonly term: number } {
  const at = text.lastIndexOf('@');
  return { entry: text.slice(0, at), term: Number(text.slice(at + 1)) };
}

/** I-3: where two logs have an entry of one index and term, all before it is equal too. */
function mismatch(one: readonly string[], other: readonly string[]): string | undefined {
  let isEqual = false;
  for (let i = Math.min(one.length, other.length) - 1; i >= 0; i--) {
    const [a, b] = [one[i] as string, other[i] as string];
    const isSameTerm = a.slice(0, a.indexOf('.')) === b.slice(0, b.indexOf('.'));
    if (a !== b && (isEqual || isSameTerm)) return `hold different entries at ${i + 1}`;
    isEqual ||= a === b;
  }
  return undefined;
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

/** What tells one state from another. */
function numbersOf({ lives, bag, ledger, leaders, left, crashesLeft }: World): number[] {
  const spent = ((left.timeouts * 16 + left.heartbeats) * 16 + left.proposals) * 16 + crashesLeft;
  return [...lives.map(({ id }) => id), ledger, leaders, spent, ...bag];
}

/** States that were seen, as 64 bits each: of a hundred million states two are taken for one with a chance of a few in ten thousand. */
class SeenStates {
  readonly #slots: Int32Array;
  readonly #mask: number;

  constructor(most: number) {
    const size = 2 ** Math.ceil(Math.log2(most * 1.5 + 1_024));
    this.#slots = new Int32Array(2 * size);
    this.#mask = size - 1;
  }

  /** False when it was there. */
  add(numbers: readonly number[]): boolean {
    const [a, b] = hashOf(numbers);
    const slots = this.#slots;
    for (let slot = a & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const [x, y] = [slots[2 * slot], slots[2 * slot + 1]];
      if (x === a && y === b) return false;
      if (x !== 0 || y !== 0) continue;
      slots[2 * slot] = a;
      slots[2 * slot + 1] = b;
      return true;
    }
  }
}

/** Two halves of MurmurHash3's mixing (Appleby), with different seeds. Never both 0. */
function hashOf(numbers: readonly number[]): [number, number] {
  let [a, b] = [0x2f0b4a47, 0x1b873593];
  for (const number of numbers) {
    a = mixed(a, Math.imul(number, 0xcc9e2d51 | 0));
    b = mixed(b, Math.imul(number ^ 0x5bd1e995, 0x85ebca6b | 0));
  }
  return [a, b === 0 && a === 0 ? 1 : b];
}

function mixed(hash: number, word: number): number {
  let h = hash ^ ((word << 15) | (word >>> 17));
  h = Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64;
  h ^= h >>> 16;
  return Math.imul(h, 0xc2b2ae35 | 0) | 0;
}
