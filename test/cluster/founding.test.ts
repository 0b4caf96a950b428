/** Who founds, whom one joins, and what happens when two clusters of one name meet: product.md, How a cluster starts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Affiliation, type AffiliationStep } from '../../src/cluster/affiliation.ts';
import { Founding, type FoundingMode } from '../../src/cluster/founding.ts';
import type { Neighbourhood, Peer } from '../../src/cluster/neighbourhood.ts';
import type { Replica } from '../../src/cluster/replica.ts';
import type { Dissolution } from '../../src/model/dissolution.ts';
import type { ClusterId, MemberId, NodeId } from '../../src/model/ids.ts';
import { nodeIdOf } from '../../src/model/ids.ts';
import type { NodeKind } from '../../src/model/node-state.ts';

const ZEROCONF: FoundingMode = { isZeroconf: true, isBootstrap: false, expect: 0 };
const NEVER: FoundingMode = { isZeroconf: false, isBootstrap: false, expect: 0 };

function nodes(...names: string[]): NodeId[] {
  return names as NodeId[];
}

describe('founding', () => {
  it('is done at once with --bootstrap', () => {
    const founding = new Founding({ ...NEVER, isBootstrap: true });
    const facts = { self: 'b' as NodeId, undecided: nodes('a', 'b'), isSearched: false };
    assert.equal(founding.evaluate(facts, 0), true);
  });

  it('waits for the end of the search and for a stable set, and is the smallest id’s', () => {
    const first = new Founding(ZEROCONF);
    const second = new Founding(ZEROCONF);
    const undecided = nodes('b', 'a');
    assert.equal(first.evaluate({ self: 'a' as NodeId, undecided, isSearched: false }, 0), false);
    assert.equal(first.evaluate({ self: 'a' as NodeId, undecided, isSearched: false }, 5_000), false);
    assert.equal(first.evaluate({ self: 'a' as NodeId, undecided, isSearched: true }, 5_001), true);
    assert.equal(second.evaluate({ self: 'b' as NodeId, undecided, isSearched: true }, 0), false);
    assert.equal(second.evaluate({ self: 'b' as NodeId, undecided, isSearched: true }, 1_000), false);
  });

  it('begins to wait anew when somebody comes', () => {
    const founding = new Founding(ZEROCONF);
    const self = 'a' as NodeId;
    founding.evaluate({ self, undecided: nodes('a'), isSearched: true }, 0);
    assert.equal(founding.evaluate({ self, undecided: nodes('a', 'b'), isSearched: true }, 400), false);
    assert.equal(founding.evaluate({ self, undecided: nodes('a', 'b'), isSearched: true }, 800), false);
    assert.equal(founding.evaluate({ self, undecided: nodes('a', 'b'), isSearched: true }, 900), true);
  });

  it('falls to the next in line when the first has not founded for three seconds', () => {
    const founding = new Founding(ZEROCONF);
    const facts = { self: 'b' as NodeId, undecided: nodes('a', 'b'), isSearched: true };
    assert.equal(founding.evaluate(facts, 0), false);
    assert.equal(founding.evaluate(facts, 3_400), false);
    assert.equal(founding.evaluate(facts, 3_500), true);
  });

  it('waits for as many as --bootstrap-expect says, and needs no search', () => {
    const founding = new Founding({ ...NEVER, expect: 3 });
    const self = 'a' as NodeId;
    assert.equal(founding.evaluate({ self, undecided: nodes('a', 'b'), isSearched: false }, 60_000), false);
    assert.equal(founding.evaluate({ self, undecided: nodes('a', 'b', 'c'), isSearched: false }, 60_001), true);
  });

  it('is never done with --join alone', () => {
    const founding = new Founding(NEVER);
    assert.equal(founding.mayFound, false);
    assert.equal(founding.evaluate({ self: 'a' as NodeId, undecided: nodes('a'), isSearched: true }, 60_000), false);
  });
});

const OURS = 'MMMMMMMMMMMMMMMMMMMMMA' as ClusterId;
const SMALLER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;
const LARGER = 'ZZZZZZZZZZZZZZZZZZZZZA' as ClusterId;
const SELF = 'm@0000000000000000' as MemberId;

function peer(name: string, clusterId: ClusterId | undefined, stamp = '0'): Peer {
  const endpoint = { host: '10.0.0.1', port: 1 };
  return {
    node: name as NodeId,
    member: `${name}@${stamp.repeat(16)}` as MemberId,
    kind: 'voter',
    clusterId,
    raft: endpoint,
    liveness: endpoint,
    isAlive: true,
    isUnfit: false,
    priority: 0,
  };
}

/** What one node knows, and the affiliation that judges it. */
class Bench {
  readonly affiliation: Affiliation;
  peers: readonly Peer[] = [];
  voters: readonly MemberId[] = [];
  isUntouched = true;
  /** Of the log, and so much of it is applied. */
  lastIndex = 9;
  appliedIndex = 9;
  votersOutgoing: readonly MemberId[] = [];
  now = 0;

  constructor(
    mode: FoundingMode = ZEROCONF,
    kind: NodeKind = 'voter',
    past: { readonly dissolutions?: readonly Dissolution[]; readonly followed?: ClusterId } = {},
  ) {
    this.affiliation = new Affiliation(new Founding(mode), kind, past);
  }

  /** Looks for so long, and returns what was concluded. */
  look(forMs = 0): AffiliationStep[] {
    const { peers, voters, votersOutgoing } = this;
    const neighbourhood: Pick<Neighbourhood, 'alive' | 'peer' | 'isSearched'> = {
      alive: () => peers.filter(({ isAlive }) => isAlive),
      peer: (node) => peers.find((one) => one.node === node),
      isSearched: true,
    };
    const replica = {
      configuration: { voters, votersOutgoing },
      raft: { lastIndex: this.lastIndex },
      state: { kv: { isUntouched: this.isUntouched }, appliedIndex: this.appliedIndex },
    };
    const steps: AffiliationStep[] = [];
    for (const end = this.now + forMs; this.now <= end; this.now += 50) {
      const step = this.affiliation.evaluate(
        SELF,
        neighbourhood as Neighbourhood,
        replica as unknown as Replica,
        this.now,
      );
      if (step !== undefined) steps.push(step);
    }
    return steps;
  }
}

describe('an undecided node', () => {
  it('founds when the whole neighbourhood is undecided and it is the first', () => {
    const bench = new Bench();
    bench.peers = [peer('n', undefined)];
    assert.deepEqual(bench.look(1_000)[0], { kind: 'found' });
  });

  it('follows a cluster that it hears of', () => {
    const bench = new Bench();
    bench.peers = [peer('a', undefined), peer('n', LARGER)];
    assert.deepEqual(bench.look(), [{ kind: 'follow', clusterId: LARGER }]);
  });

  it('follows where most are, and of equals the smallest id', () => {
    const most = new Bench();
    most.peers = [peer('a', SMALLER), peer('b', LARGER), peer('c', LARGER)];
    assert.deepEqual(most.look(), [{ kind: 'follow', clusterId: LARGER }]);
    const equal = new Bench();
    equal.peers = [peer('a', LARGER), peer('b', SMALLER)];
    assert.deepEqual(equal.look(), [{ kind: 'follow', clusterId: SMALLER }]);
  });

  it('founds nothing as a non-voter, and nothing with --join alone', () => {
    assert.deepEqual(new Bench(ZEROCONF, 'non-voter').look(20_000), []);
    assert.deepEqual(new Bench(NEVER).look(20_000), []);
  });

  it('founds nothing beside the cluster that it followed, unless it is told to', () => {
    const bench = new Bench(ZEROCONF, 'voter', { followed: OURS });
    assert.deepEqual(bench.look(60_000), []);
    assert.equal(bench.affiliation.awaited, OURS);
    bench.peers = [peer('a', OURS)];
    assert.deepEqual(bench.look(100)[0], { kind: 'follow', clusterId: OURS });
    const told = new Bench({ ...NEVER, isBootstrap: true }, 'voter', { followed: OURS });
    assert.deepEqual(told.look()[0], { kind: 'found' });
  });

  it('follows another cluster when the one it followed is not there', () => {
    const bench = new Bench(ZEROCONF, 'voter', { followed: OURS });
    bench.peers = [peer('a', LARGER)];
    assert.deepEqual(bench.look()[0], { kind: 'follow', clusterId: LARGER });
  });

  it('founds after it followed what it has dissolved', () => {
    const past = { followed: OURS, dissolutions: [{ clusterId: OURS, member: SELF }] };
    assert.ok(new Bench(ZEROCONF, 'voter', past).look(2_000).some(({ kind }) => kind === 'found'));
  });

  it('does not follow back into what it dissolved before it was started again', () => {
    const bench = new Bench(ZEROCONF, 'voter', { dissolutions: [{ clusterId: OURS, member: SELF }] });
    bench.peers = [peer('a', OURS), peer('b', OURS), peer('c', LARGER)];
    assert.deepEqual(bench.look()[0], { kind: 'follow', clusterId: LARGER });
  });

  it('does not follow back into the cluster that it dissolved', () => {
    const bench = new Bench();
    bench.affiliation.bind(OURS);
    bench.affiliation.dissolved();
    bench.peers = [peer('n', OURS)];
    assert.deepEqual(bench.look(10_000), []);
    bench.peers = [peer('n', OURS), peer('o', LARGER)];
    assert.deepEqual(bench.look(100).slice(0, 1), [{ kind: 'follow', clusterId: LARGER }]);
  });
});

describe('a node that follows and is bound to nothing', () => {
  function following(): Bench {
    const bench = new Bench();
    bench.affiliation.follow(OURS);
    return bench;
  }

  it('stays while somebody is of its cluster', () => {
    const bench = following();
    bench.peers = [peer('a', OURS), peer('b', LARGER)];
    assert.deepEqual(bench.look(5_000), []);
  });

  it('forgets it when those that are left cannot vote, and others are elsewhere', () => {
    const bench = new Bench(ZEROCONF, 'non-voter');
    bench.affiliation.follow(OURS);
    bench.peers = [{ ...peer('a', OURS), kind: 'non-voter' }, peer('n', SMALLER)];
    assert.equal(bench.look(2_000)[0]?.kind, 'forget');
  });

  it('forgets it when all others are elsewhere', () => {
    const bench = following();
    bench.peers = [peer('b', LARGER)];
    assert.deepEqual(bench.look()[0], { kind: 'forget' });
  });

  it('forgets it when every voter lives on elsewhere, whoever else still follows', () => {
    const bench = following();
    bench.voters = [peer('a', OURS).member];
    bench.peers = [peer('a', LARGER, '1'), peer('n', OURS)];
    assert.deepEqual(bench.look()[0], { kind: 'forget' });
    bench.affiliation.forget();
    assert.deepEqual(bench.look(500)[0], { kind: 'follow', clusterId: LARGER });
    const unsettled = following();
    unsettled.voters = [peer('a', OURS).member];
    unsettled.peers = [peer('a', undefined, '1'), peer('n', OURS)];
    assert.deepEqual(unsettled.look()[0], { kind: 'forget' }, 'also while the voter has not decided');
  });
});

describe('two clusters of one name that meet', () => {
  function bound(voters: readonly MemberId[] = [SELF]): Bench {
    const bench = new Bench();
    bench.affiliation.bind(OURS);
    bench.voters = voters;
    return bench;
  }

  function described(theirs: ClusterId, voters: number): Bench {
    const bench = bound();
    bench.peers = [peer('n', theirs)];
    assert.deepEqual(bench.look(900), [], 'a second cluster is watched for a second first');
    const asked = bench.look(1_000)[0];
    assert.deepEqual(asked, { kind: 'ask', member: peer('n', theirs).member });
    bench.affiliation.onDescription(peer('n', theirs).member, { clusterId: theirs, voters, isEmpty: true }, bench.now);
    return bench;
  }

  it('of two single voters the one with the larger id dissolves', () => {
    assert.deepEqual(described(SMALLER, 1).look()[0], { kind: 'dissolve', into: SMALLER });
    assert.equal(
      described(LARGER, 1)
        .look(2_000)
        .some(({ kind }) => kind === 'dissolve'),
      false,
    );
  });

  it('a single voter that holds keys gives way to nobody, and says so', () => {
    const bench = described(SMALLER, 3);
    bench.isUntouched = false;
    assert.deepEqual(bench.look()[0], { kind: 'conflict', theirs: SMALLER, node: 'n' });
  });

  it('a single voter that has not read all of its log may hold keys, and dissolves when it knows', () => {
    const bench = bound();
    bench.peers = [peer('n', LARGER)];
    bench.appliedIndex = 2;
    assert.ok(!bench.look(5_000).some(({ kind }) => kind === 'ask' || kind === 'dissolve'));
    bench.appliedIndex = 9;
    assert.equal(bench.look(1_000)[0]?.kind, 'ask');
  });

  it('a single voter dissolves into a cluster of several, whatever the ids', () => {
    assert.deepEqual(described(LARGER, 3).look()[0], { kind: 'dissolve', into: LARGER });
  });

  it('believes only whom it has asked', () => {
    const bench = described(LARGER, 1);
    bench.affiliation.onDescription(
      peer('x', LARGER).member,
      { clusterId: LARGER, voters: 5, isEmpty: true },
      bench.now,
    );
    assert.equal(
      bench.look(400).some(({ kind }) => kind === 'dissolve'),
      false,
    );
  });

  it('two clusters of several voters run on and say so, not too often', () => {
    const bench = bound([SELF, peer('a', OURS).member, peer('b', OURS).member]);
    bench.peers = [peer('a', OURS), peer('b', OURS), peer('n', SMALLER)];
    assert.deepEqual(bench.look(30_000), [{ kind: 'conflict', theirs: SMALLER, node: 'n' as NodeId }]);
    assert.equal(bench.affiliation.conflict?.theirs, SMALLER);
    bench.peers = [peer('a', OURS), peer('b', OURS)];
    bench.affiliation.hasten(bench.now);
    bench.look();
    assert.equal(bench.affiliation.conflict, undefined);
  });

  it('a learner goes when the only voter of its cluster lives on in the other', () => {
    const voter = peer('a', OURS).member;
    const bench = bound([voter]);
    bench.peers = [peer('a', SMALLER, '1')];
    assert.equal(nodeIdOf(voter), 'a');
    const last = bench.look(2_000).at(-1);
    assert.deepEqual(last, { kind: 'dissolve', into: SMALLER });
  });

  it('a learner that never had an entry goes, whether or not anybody remembers its cluster', () => {
    const bench = bound([]);
    bench.lastIndex = 0;
    bench.appliedIndex = 0;
    bench.peers = [peer('a', SMALLER, '1'), peer('b', OURS)];
    assert.ok(!bench.look(4_900).some(({ kind }) => kind === 'dissolve'), 'its leader may only be slow');
    assert.deepEqual(bench.look(500)[0], { kind: 'dissolve', into: SMALLER });
  });

  describe('what is left over of a cluster whose only voter gave it up', () => {
    const former = peer('a', OURS).member;
    const later = peer('a', SMALLER, '1').member;

    /** Holds the first step of a change that nobody else ever had: the only voter beside ourselves. */
    function leftOver(): Bench {
      const bench = bound([former, SELF]);
      bench.votersOutgoing = [former];
      bench.peers = [peer('a', SMALLER, '1')];
      return bench;
    }

    it('asks who voted in it, and waits', () => {
      const steps = leftOver().look(30_000);
      assert.ok(steps.some((step) => step.kind === 'askFormer' && step.member === later));
      assert.ok(steps.some(({ kind }) => kind === 'conflict'));
      assert.ok(!steps.some(({ kind }) => kind === 'dissolve'), 'a lost disk looks the same, and its cluster may live');
    });

    it('gives way when that voter says so', () => {
      const bench = leftOver();
      bench.look(2_000);
      bench.affiliation.onDissolution(later, { clusterId: OURS, member: former }, bench.now);
      assert.deepEqual(bench.look()[0], { kind: 'dissolve', into: SMALLER });
    });

    it('believes nobody else, of no other cluster, for no other member', () => {
      const bench = leftOver();
      bench.look(2_000);
      const { affiliation } = bench;
      affiliation.onDissolution(peer('x', SMALLER).member, { clusterId: OURS, member: former }, bench.now);
      affiliation.onDissolution(later, { clusterId: LARGER, member: former }, bench.now);
      affiliation.onDissolution(later, { clusterId: OURS, member: peer('b', OURS).member }, bench.now);
      affiliation.onDissolution(later, { clusterId: OURS, member: later }, bench.now);
      assert.ok(!bench.look(5_000).some(({ kind }) => kind === 'dissolve'));
    });

    it('is nothing to give up for the only voter of a joint configuration', () => {
      const bench = bound([SELF]);
      bench.votersOutgoing = [SELF, peer('b', OURS).member];
      bench.peers = [peer('n', SMALLER)];
      assert.ok(!bench.look(5_000).some(({ kind }) => kind === 'ask' || kind === 'dissolve'));
    });

    it('is remembered by who gave it up, the newest eight', () => {
      const { affiliation } = new Bench();
      for (const [i, letter] of [...'ABCDEFGHI'].entries()) {
        const clusterId = letter.repeat(22) as ClusterId;
        affiliation.bind(clusterId);
        affiliation.dissolved({ clusterId, member: `m@${String(i).repeat(16)}` as MemberId });
      }
      assert.equal(affiliation.dissolutionOf('A'.repeat(22) as ClusterId), undefined);
      assert.equal(affiliation.dissolutionOf('I'.repeat(22) as ClusterId)?.member, `m@${'8'.repeat(16)}`);
    });
  });
});
