/**
 * Small scopes to their end (reliability.md 4, L5): three Raft cores and every order in which their timers fire, their messages arrive or never do,
 * their disks finish, a client asks and a process dies, within a few of each. Breadth first: what is found is as short as can be.
 *
 * What is explored is the core that ships, whose inner state cannot be copied: a node is its history, the disk that it started with and the
 * inputs since, and is brought back by living through it again. Histories that end in the same state are one; for that the core must be
 * one whose private fields can be read, a copy that {@link openFields} has rewritten.
 */
import { present } from '../../src/base/assert.ts';
import type { MemberId } from '../../src/model/ids.ts';
import type { RaftMessage } from '../../src/raft/messages.ts';
import type { Raft } from '../../src/raft/raft.ts';
import { encodeRaftMessage } from '../../src/wire/raft/rpc.ts';
import { type Act, Core, type Disk, type Envelope, type Life, MEMBERS, NAMES, nameOf } from './explored-core.ts';
import { SeenStates } from './seen-states.ts';
import { configurationOf, foundingEntry } from './world.ts';

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

/** What tells one state from another. */
function numbersOf({ lives, bag, ledger, leaders, left, crashesLeft }: World): number[] {
  const spent = ((left.timeouts * 16 + left.heartbeats) * 16 + left.proposals) * 16 + crashesLeft;
  return [...lives.map(({ id }) => id), ledger, leaders, spent, ...bag];
}
