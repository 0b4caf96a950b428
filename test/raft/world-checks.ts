/** What must hold in a world of cores after every turn: the checkers of raft.md section 16 that need to see all nodes. */
import { assert, present } from '../../src/base/assert.ts';
import { crc32c } from '../../src/base/crc32c.ts';
import { type LogIndex, type MemberId, nodeIdOf, type Term } from '../../src/model/ids.ts';
import type { Configuration, Entry, PersistBatch } from '../../src/model/log.ts';
import type { RaftEffect, RaftMessage, RaftOutcome } from '../../src/raft/messages.ts';
import type { Asked, Node, World } from './world.ts';

interface Seen {
  leaseUntil: number;
  commitIndex: number;
  term: Term;
  wasLeader: boolean;
  /** By node: what it took its peers to have, when it led these members. */
  matched: ReadonlyMap<string, number>;
  configuration: Configuration | undefined;
}

export class WorldChecks {
  /** The highest index that any node has known to be committed. */
  committedThrough = 0;
  readonly #world: World;
  readonly #leaderOf: Map<Term, MemberId> = new Map();
  /** `index:term` of every entry that was ever written, with its data and what preceded it. */
  readonly #written: Map<string, string> = new Map();
  readonly #committedTerm: Map<number, Term> = new Map();
  /** The term in which the entry was committed, which may be later than its own. */
  readonly #committedIn: Map<number, Term> = new Map();
  readonly #voteOf: Map<string, MemberId> = new Map();
  readonly #seen: Map<MemberId, Seen> = new Map();

  constructor(world: World) {
    this.#world = world;
  }

  get leaders(): ReadonlyMap<Term, MemberId> {
    return this.#leaderOf;
  }

  founded(entry: Entry): void {
    this.#write(entry, 0);
    this.#committedTerm.set(entry.index, entry.term);
    this.committedThrough = entry.index;
  }

  started(node: Node): void {
    const raft = present(node.raft, 'a node that starts runs');
    // I-7, across restarts: nothing durable goes back.
    assert(raft.term >= (this.#seen.get(node.id)?.term ?? 0) - 1e9, 'a term is a number');
    this.#seen.set(node.id, {
      leaseUntil: Number.NEGATIVE_INFINITY,
      commitIndex: raft.commitIndex,
      term: raft.term,
      wasLeader: false,
      matched: new Map(),
      configuration: undefined,
    });
  }

  durable(node: Node): void {
    const { term, vote } = node.disk.hardState;
    if (vote !== null) this.#noteVote(node.id, term, vote);
  }

  afterTurn(node: Node, effects: readonly RaftEffect[]): void {
    const raft = present(node.raft, 'a node that turns runs');
    const seen = present(this.#seen.get(node.id), 'a node that turns was started');
    raft.check();
    for (const effect of effects) this.#checkEffect(node, effect);
    assert(raft.term >= seen.term, `I-7: the term of ${node.id} fell`);
    assert(raft.commitIndex >= seen.commitIndex, `I-7: the commit index of ${node.id} fell`);
    if (raft.role === 'leader') this.#checkLeader(node, seen);
    this.#checkMatches(node, seen);
    this.#checkCommit(node, seen);
    seen.term = raft.term;
    seen.commitIndex = raft.commitIndex;
    seen.wasLeader = raft.role === 'leader';
    seen.leaseUntil = raft.leaderLeaseUntil;
    this.#checkLeases();
  }

  /** A follower commits no further than what the append has verified: its tail may be another leader's (P-6). */
  taken({ id, raft }: Node, message: RaftMessage, commitBefore: number): void {
    if (message.kind !== 'appendReq' || raft === undefined || raft.role === 'leader') return;
    const verified = message.prev.index + message.entries.length;
    assert(
      raft.commitIndex <= Math.max(commitBefore, verified),
      `I-3: ${id} commits ${raft.commitIndex}, and the append verified its log to ${verified}`,
    );
  }

  replied(asked: Asked, outcome: RaftOutcome): void {
    if (outcome.kind === 'readReady') {
      assert(outcome.index >= asked.committedBefore, 'I-18: a read sees all that was committed before it');
    }
    if (outcome.kind === 'committed') {
      for (const index of outcome.indexes) {
        assert(this.#committedTerm.get(index) === outcome.term, 'I-6: what is acknowledged is committed');
      }
    }
  }

  #checkEffect(node: Node, effect: RaftEffect): void {
    if (effect.kind === 'persist') {
      const raft = present(node.raft, 'a node that writes runs');
      for (const entry of effect.batch.entries ?? []) {
        const before = raft.termAt((entry.index - 1) as LogIndex);
        if (before !== undefined) this.#write(entry, before);
        if (entry.kind === 'config') this.#checkChange(node, entry, effect.batch);
      }
    } else if (effect.kind === 'commit') {
      for (const entry of effect.entries) {
        const known = this.#committedTerm.get(entry.index);
        if (known !== undefined) assert(known === entry.term, `I-5: two entries are applied at ${entry.index}`);
      }
    } else if (effect.kind === 'installSnapshot') {
      const { term, index } = effect.meta.lastLog;
      const own = present(node.raft, 'a node that installs runs').termAt(index);
      assert(own !== term, `10.4: a snapshot takes the place of a log of ${node.id} that holds all of it`);
    } else if (effect.kind === 'send') {
      this.#checkPromise(node, effect.to, effect.message);
    }
  }

  /** I-14: no promise leaves before it is durable. */
  #checkPromise(node: Node, to: MemberId, message: RaftMessage): void {
    const { hardState, entries, snapshot } = node.disk;
    if (message.kind === 'voteReq') {
      assert(hardState.term === message.term && hardState.vote === node.id, 'I-14: a vote request is durable');
      const last = entries.at(-1) ?? snapshot?.lastLog;
      assert((last?.index ?? 0) >= message.lastLog.index, 'I-14: the log that a vote request names is durable');
    } else if (message.kind === 'voteResp' && message.granted) {
      assert(hardState.term === message.term && hardState.vote === to, 'I-14: a vote is durable');
      this.#noteVote(node.id, message.term, to);
    } else if (message.kind === 'appendOk') {
      assert(hardState.term >= message.term, 'I-14: the term of an acknowledgement is durable');
      const last = entries.at(-1)?.index ?? snapshot?.lastLog.index ?? 0;
      assert(last >= message.match, 'I-14: what is acknowledged is durable');
    }
  }

  /** 9.2 rule 2: a leader changes members only when it has committed in its term, and nothing of the change before is open. */
  #checkChange(node: Node, { term, index }: Entry, batch: PersistBatch): void {
    const raft = present(node.raft, 'a node that writes runs');
    if (raft.role !== 'leader' || term !== raft.term) return;
    assert(
      raft.termAt(raft.commitIndex) === term,
      `9.2: a change at ${index} before anything of term ${term} is committed`,
    );
    const batches = [...node.queue.flatMap((work) => (work.kind === 'batch' ? [work.batch] : [])), batch];
    let configs = node.disk.entries.filter(({ kind }) => kind === 'config').map((entry) => entry.index as number);
    for (const { truncateFrom = Number.POSITIVE_INFINITY, entries = [] } of batches) {
      configs = configs.filter((at) => at < truncateFrom);
      configs.push(...entries.filter(({ kind }) => kind === 'config').map((entry) => entry.index));
    }
    const open = configs.filter((at) => at > raft.commitIndex);
    assert(open.length <= 1, `9.2: changes at ${open.join(' and ')} are open at once`);
  }

  /** I-8, from what is durable and from what is said. */
  #noteVote(node: MemberId, term: Term, to: MemberId): void {
    const key = `${node} ${term}`;
    const first = this.#voteOf.get(key) ?? to;
    assert(first === to, `I-8: ${node} voted for ${first} and ${to} in term ${term}`);
    this.#voteOf.set(key, to);
  }

  /** I-3: by induction, equal index and term mean equal prefixes. */
  #write(entry: Entry, termBefore: Term | 0): void {
    const key = `${entry.index}:${entry.term}`;
    const what = `${termBefore} ${entry.kind} ${entry.data.length} ${crc32c(entry.data)}`;
    const known = this.#written.get(key) ?? what;
    assert(known === what, `I-3: two entries ${key}`);
    this.#written.set(key, what);
  }

  #checkLeader(node: Node, seen: Seen): void {
    const raft = present(node.raft, 'a leader runs');
    const first = this.#leaderOf.get(raft.term) ?? node.id;
    assert(first === node.id, `I-1: term ${raft.term} was led by ${first} and by ${node.id}`);
    this.#leaderOf.set(raft.term, node.id);
    if (seen.wasLeader && seen.term === raft.term) return;
    const hasVoted = (id: MemberId): boolean => this.#voteOf.get(`${id} ${raft.term}`) === node.id;
    assert(
      isHeldByQuorum(raft.configuration, hasVoted),
      `I-1: ${node.id} leads term ${raft.term} without a quorum's votes`,
    );
    for (const [index, term] of this.#committedTerm) {
      if ((this.#committedIn.get(index) ?? 0) >= raft.term) continue;
      const own = raft.termAt(index as LogIndex);
      const isCompacted = own === undefined && index <= raft.lastIndex;
      assert(isCompacted || own === term, `I-4: ${node.id}, leader of ${raft.term}, lacks committed entry ${index}`);
    }
  }

  /** I-11: what a peer has confirmed to the leader of a term stays confirmed (P-15). */
  #checkMatches(node: Node, seen: Seen): void {
    const raft = present(node.raft, 'a node that turns runs');
    const { lastIndex, lag } = raft.stats;
    const matched = new Map(Object.entries(lag).map(([peer, behind]) => [peer, lastIndex - behind]));
    if (seen.term === raft.term && seen.configuration === raft.configuration)
      for (const [peer, match] of matched) {
        // A name that came back with another stamp stands for two peers, of which one goes.
        const isOne = [...this.#world.nodes.keys()].filter((id) => nodeIdOf(id) === peer).length === 1;
        const before = isOne ? (seen.matched.get(peer) ?? 0) : 0;
        assert(match >= before, `I-11: ${node.id} takes back what ${peer} has confirmed`);
      }
    seen.matched = matched;
    seen.configuration = raft.configuration;
  }

  #checkCommit(node: Node, seen: Seen): void {
    const raft = present(node.raft, 'a node that turns runs');
    for (let index = seen.commitIndex + 1; index <= raft.commitIndex; index++) {
      const term = raft.termAt(index as LogIndex);
      const known = this.#committedTerm.get(index);
      if (term === undefined) continue;
      if (known !== undefined) {
        assert(known === term, `I-5: ${node.id} commits term ${term} at ${index}, others ${known}`);
        continue;
      }
      assert(raft.role === 'leader' || seen.wasLeader, `I-13: ${node.id} commits ${index}, which no leader has`);
      // I-12: what older terms left is committed with an entry of the leader's own, never by itself (Raft §5.4.2).
      if (index === raft.commitIndex && raft.role === 'leader' && seen.wasLeader && seen.term === raft.term)
        assert(
          term === raft.term,
          `I-12: ${node.id} commits ${index} of term ${term} by counting, in term ${raft.term}`,
        );
      this.#committedTerm.set(index, term);
      this.#committedIn.set(index, seen.wasLeader ? seen.term : raft.term);
      this.committedThrough = Math.max(this.committedThrough, index);
      if (index === raft.commitIndex) this.#checkQuorumHas(node, index, term);
    }
  }

  /** I-13. */
  #checkQuorumHas(node: Node, index: number, term: Term): void {
    const { configuration } = present(node.raft, 'a leader runs');
    const holds = (id: MemberId): boolean => {
      const disk = this.#world.nodes.get(id)?.disk;
      if (disk === undefined) return false;
      const entry = disk.entries.find((candidate) => candidate.index === index);
      return entry === undefined ? (disk.snapshot?.lastLog.index ?? 0) >= index : entry.term === term;
    };
    assert(isHeldByQuorum(configuration, holds), `I-13: entry ${index} is committed, and no quorum has it durably`);
  }

  /** I-33. The lease counts on the holder's own clock, whether it is awake or not. */
  #checkLeases(): void {
    let holder: MemberId | undefined;
    for (const [id, seen] of this.#seen) {
      if (seen.leaseUntil === Number.NEGATIVE_INFINITY) continue;
      const node = this.#world.nodes.get(id);
      if (node?.raft === undefined || this.#world.localNow(node) >= seen.leaseUntil) continue;
      assert(holder === undefined, `I-33: ${holder} and ${id} hold a leader lease`);
      holder = id;
    }
  }
}

/** Counted here, for the core's own counting is on trial (P-23). */
function isHeldByQuorum({ voters, votersOutgoing }: Configuration, holds: (member: MemberId) => boolean): boolean {
  return [voters, votersOutgoing].every((half) => half.length === 0 || half.filter(holds).length * 2 > half.length);
}
