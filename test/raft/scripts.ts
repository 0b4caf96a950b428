/**
 * Clusters as readable scripts (house example 6): one step per line, `#` begins a comment. Time passes only by `advance` and `until`.
 *
 *   nodes 3 seed=7 window=3     found a cluster; also `learners=n4` `batch=2` (entries per append)
 *   let L = leader              name a node; `let A = follower 1` is the first follower by name
 *   advance 2s                  `until ready 2s` stops as soon as some leader is ready
 *   partition n1 | n2 n3        also `cut n1 > n2`, `heal`, `drop appendReq n1 > n2`, `deliver`
 *   crash n1, start n1, pause n1 500ms, compact n1 keep 0, unreachable n1 > n2, disk n1 20ms, room n1 low
 *   propose n1 a b              `read n1`, `transfer n1 n2`, `join n4`, `change n1 add|promote|demote|remove n4`
 *   expect …, …                 see `clause` below
 */
import assert from 'node:assert/strict';
import { utf8 } from '../../src/base/bytes.ts';
import type { LogIndex, MemberId, RequestId } from '../../src/model/ids.ts';
import type { StorageRoom } from '../../src/model/storage-room.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import type { MemberStep, RaftMessage } from '../../src/raft/messages.ts';
import { CALM_WORLD, World, member, nameOf } from './world.ts';

const CHANGES: Readonly<Record<string, MemberStep>> = {
  add: 'addLearner',
  promote: 'promote',
  demote: 'demote',
  remove: 'remove',
};

export function runScript(text: string): void {
  let script: Script | undefined;
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.replace(/#.*/, '').trim();
    if (line === '') continue;
    try {
      for (const step of line.split(/\s{2,}(?=expect)/)) {
        const words = step.trim().split(/\s+/);
        if (words[0] === 'nodes') script = new Script(words.slice(1));
        else (script ?? assert.fail('a script begins with `nodes`')).run(words);
      }
    } catch (error) {
      throw new Error(`line ${i + 1}: ${line}\n${(error as Error).message}\n${script?.describe() ?? ''}`, {
        cause: error,
      });
    }
  }
}

class Script {
  readonly #world: World;
  readonly #names: Map<string, MemberId> = new Map();
  readonly #drops: { readonly kind: string; readonly from: MemberId; readonly to: MemberId }[] = [];
  readonly #dropped: Map<string, number> = new Map();
  #last: RequestId = 0 as RequestId;
  #sameLeader: MemberId | undefined;

  constructor([count, ...options]: readonly string[]) {
    const settings = new Map(options.map((option) => option.split('=') as [string, string]));
    const config = {
      ...DEFAULT_RAFT_CONFIG,
      inflightMessagesMax: Number(settings.get('window') ?? DEFAULT_RAFT_CONFIG.inflightMessagesMax),
      appendEntriesMax: Number(settings.get('batch') ?? DEFAULT_RAFT_CONFIG.appendEntriesMax),
    };
    this.#world = new World({ ...CALM_WORLD, seed: Number(settings.get('seed') ?? 1), config });
    const voters = Array.from({ length: Number(count) }, (_, i) => `n${i + 1}`);
    this.#world.found(voters, settings.get('learners')?.split(',') ?? []);
    this.#world.filter = (from, to, message) => this.#passes(from, to, message);
  }

  describe(): string {
    const states = [...this.#world.nodes.values()].map(({ id, raft }) =>
      raft === undefined
        ? `${nameOf(id)} down`
        : `${nameOf(id)} ${raft.role} term ${raft.term} commit ${raft.commitIndex} last ${raft.lastIndex}`,
    );
    return `at ${this.#world.now} ms: ${states.join('; ')}; answer ${JSON.stringify(this.#world.outcomeOf(this.#last))}`;
  }

  run([verb = '', ...words]: readonly string[]): void {
    const world = this.#world;
    const [first = '', second = '', third = '', fourth = ''] = words;
    switch (verb) {
      case 'let':
        this.#names.set(first, this.#node(third, fourth));
        return;
      case 'advance':
        this.#sameLeader = world.leader()?.id;
        return world.advance(millis(first));
      case 'until':
        assert.equal(first, 'ready');
        assert.ok(
          world.advanceUntil(() => world.leader()?.raft?.isReady === true, millis(second)),
          'no leader is ready',
        );
        return;
      case 'partition':
        return world.partition(
          words
            .join(' ')
            .split('|')
            .map((group) => this.#nodes(group)),
        );
      case 'cut':
        return world.cut(this.#node(first), this.#node(third));
      case 'heal':
        return world.heal();
      case 'drop':
        this.#drops.push({ kind: first, from: this.#node(second), to: this.#node(fourth) });
        return;
      case 'deliver':
        this.#drops.length = 0;
        return;
      case 'crash':
        return world.crash(this.#node(first));
      case 'start':
        return world.start(this.#node(first));
      case 'pause':
        return world.pause(this.#node(first), millis(second));
      case 'disk':
        world.node(this.#node(first)).diskSlowMs = millis(second);
        return;
      case 'room':
        return world.step(world.node(this.#node(first)), { kind: 'room', room: second as StorageRoom });
      case 'compact':
        assert.ok(world.compact(this.#node(first), Number(third)), 'there is nothing to compact');
        return;
      case 'unreachable':
        return world.step(world.node(this.#node(first)), { kind: 'peerUnreachable', peer: this.#node(third) });
      case 'join':
        world.addNode(first);
        return world.start(member(first));
      case 'expect':
        for (const clause of words.join(' ').split(',')) this.#expect(clause.trim().split(/\s+/));
        return;
      default:
        return this.#ask(verb, words);
    }
  }

  #ask(verb: string, [first = '', ...rest]: readonly string[]): void {
    const node = this.#node(first);
    const [second = '', third = ''] = rest;
    switch (verb) {
      case 'propose':
        this.#last = this.#world.ask(node, (requestId) => ({ kind: 'propose', requestId, items: rest.map(utf8) }));
        return;
      case 'read':
        this.#last = this.#world.ask(node, (requestId) => ({ kind: 'readIndex', requestId }));
        return;
      case 'transfer': {
        const target = second === '' ? {} : { target: this.#node(second) };
        this.#last = this.#world.ask(node, (requestId) => ({ kind: 'transferLeader', requestId, ...target }));
        return;
      }
      case 'change': {
        const kind = CHANGES[second] ?? assert.fail(`no such change: ${second}`);
        const change = { kind, member: this.#node(third) };
        this.#last = this.#world.ask(node, (requestId) => ({ kind: 'changeMembers', requestId, change }));
        return;
      }
      case 'exchange': {
        const named = (sign: string): MemberId[] =>
          rest.filter((word) => word.startsWith(sign)).map((word) => this.#node(word.slice(1)));
        const change = { kind: 'exchange', promote: named('+'), remove: named('-') } as const;
        this.#last = this.#world.ask(node, (requestId) => ({ kind: 'changeMembers', requestId, change }));
        return;
      }
      default:
        assert.fail(`no such step: ${verb}`);
    }
  }

  #expect(clause: readonly string[]): void {
    const world = this.#world;
    const [first = '', second = '', ...rest] = clause;
    const leader = world.leader();
    switch (first) {
      case 'leader':
        if (second === 'in') {
          assert.ok(leader !== undefined && this.#nodes(rest.join(' ').replace(/[{}]/g, '')).includes(leader.id));
        } else if (rest.length > 0) {
          this.#expectOfNode(this.#node('leader'), second, rest);
        } else {
          assert.equal(leader === undefined ? 'none' : nameOf(leader.id), nameOf(this.#node(second)));
        }
        return;
      case 'no':
        assert.equal(second, 'leader');
        assert.equal(leader, undefined);
        return;
      case 'same':
        assert.equal(leader?.id, this.#sameLeader);
        return;
      case 'answer': {
        const outcome = world.outcomeOf(this.#last);
        assert.equal(outcome?.kind === 'refused' ? outcome.code : (outcome?.kind ?? 'none'), second);
        return;
      }
      case 'logs':
        return this.#expectEqualLogs();
      case 'dropped':
        assert.ok((this.#dropped.get(second) ?? 0) > 0, `no ${second} was dropped`);
        return;
      case 'voters':
        return assert.deepEqual(
          leader?.raft?.configuration.voters,
          [second, ...rest].map((name) => this.#node(name)).sort(),
        );
      default:
        return this.#expectOfNode(this.#node(first), second, rest);
    }
  }

  #expectOfNode(id: MemberId, what: string, [value = '']: readonly string[]): void {
    const node = this.#world.node(id);
    const { raft } = node;
    if (what === 'down') return assert.equal(raft, undefined);
    assert.ok(raft !== undefined, `${nameOf(id)} runs`);
    switch (what) {
      case 'follower':
      case 'preCandidate':
      case 'candidate':
      case 'leader':
        return assert.equal(raft.role, what);
      case 'term':
        return assert.equal(raft.term, Number(value));
      case 'commit':
        return assert.equal(raft.commitIndex, Number(value));
      case 'applied':
        return assert.equal(node.appliedIndex, Number(value));
      case 'last':
        return assert.equal(raft.lastIndex, Number(value));
      case 'behind':
        return assert.ok(
          raft.commitIndex < this.#world.checks.committedThrough,
          `${nameOf(id)} knows all that is committed`,
        );
      case 'level':
        return assert.equal(raft.commitIndex, this.#world.checks.committedThrough);
      case 'snapshot':
        return assert.equal(node.disk.snapshot?.lastLog.index, Number(value));
      default:
        return assert.fail(`no such expectation: ${what}`);
    }
  }

  #expectEqualLogs(): void {
    const running = this.#world.running();
    const first = running[0]?.raft ?? assert.fail('somebody runs');
    for (const { id, raft, appliedIndex } of running) {
      assert.equal(raft?.lastIndex, first.lastIndex, `${nameOf(id)} has as many entries`);
      assert.equal(appliedIndex, first.lastIndex, `${nameOf(id)} has applied them`);
      for (let index = 1; index <= first.lastIndex; index++) {
        const [own, other] = [raft?.termAt(index as LogIndex), first.termAt(index as LogIndex)];
        assert.ok(own === undefined || other === undefined || own === other, `entry ${index} of ${nameOf(id)}`);
      }
    }
  }

  #passes(from: MemberId, to: MemberId, message: RaftMessage): boolean {
    const drop = this.#drops.find(
      (rule) => rule.from === from && rule.to === to && (rule.kind === '*' || rule.kind === message.kind),
    );
    if (drop !== undefined) this.#dropped.set(drop.kind, (this.#dropped.get(drop.kind) ?? 0) + 1);
    return drop === undefined;
  }

  #node(name: string, nth = '1'): MemberId {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const leader = this.#world.leader()?.id;
    if (name === 'leader') return leader ?? assert.fail('there is no leader');
    if (name === 'follower') {
      const followers = this.#world.running().filter(({ id }) => id !== leader);
      return followers[Number(nth) - 1]?.id ?? assert.fail(`there is no follower ${nth}`);
    }
    return member(name);
  }

  #nodes(names: string): MemberId[] {
    return names
      .split(/\s+/)
      .filter((name) => name !== '')
      .map((name) => this.#node(name));
  }
}

function millis(text: string): number {
  const [, value = '', unit] = /^([0-9.]+)(ms|s)$/.exec(text) ?? assert.fail(`no duration: ${text}`);
  return Number(value) * (unit === 's' ? 1_000 : 1);
}
