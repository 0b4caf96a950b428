/** Drains, their undoing, and restarts by permit, in simulated clusters of whole nodes. docs/ownership.md O-23 and 10. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClusterOutcome, ClusterRequest } from '../../src/cluster/messages.ts';
import { missing, missingVoters } from './health.ts';
import { followerOf, form, leaderOf, playScenario, whole } from './scenarios.ts';
import type { Machine, Simulation } from './simulation.ts';
import { mustBecome } from './swarm.ts';

/** Asks, and lets time pass until the answer is there. */
function ask(simulation: Simulation, machine: Machine, request: ClusterRequest): string {
  let answer: ClusterOutcome | undefined;
  simulation.request(machine, request, (outcome) => {
    answer = outcome;
  });
  mustBecome(simulation, `an answer to ${request.kind}`, () => (answer === undefined ? 'none' : undefined), 20_000);
  return answer?.kind === 'refused' ? `${answer.code}: ${answer.reason}` : (answer?.kind ?? '');
}

const take = (machine: Machine, leaseMs = 60_000, holder: string = machine.nodeId): ClusterRequest => ({
  kind: 'takePermit',
  holder,
  node: machine.nodeId,
  leaseMs,
});

function holders(simulation: Simulation): (string | undefined)[] {
  return simulation.running().map((machine) => simulation.view(machine)?.restartPermit?.holder);
}

function owned(simulation: Simulation, machine: Machine): number {
  const map = simulation.view(leaderOf(simulation))?.shardMap;
  const index = map?.owners.findIndex(({ node }) => node === machine.nodeId) ?? -1;
  return map?.ownerOf.filter((owner) => owner === index).length ?? 0;
}

function play(name: string, voters: number, act: (simulation: Simulation) => void, seed = 7): void {
  playScenario(
    {
      name,
      options: { voters },
      play: (simulation) => {
        form(simulation);
        act(simulation);
        return 0;
      },
    },
    seed,
  );
}

describe('a drain', () => {
  for (const who of ['follower', 'leader'] as const) {
    it(`O-23: of the ${who} takes everything from it, through a change of leaders, until it is taken back`, () => {
      play('drain', 3, (simulation) => {
        const drained = who === 'leader' ? leaderOf(simulation) : followerOf(simulation);
        assert.equal(ask(simulation, drained, { kind: 'drain' }), 'done');
        assert.equal(owned(simulation, drained), 0);
        assert.equal(simulation.view(drained)?.state, 'Draining');
        ask(simulation, leaderOf(simulation), { kind: 'stepDown' });
        simulation.run(5_000);
        assert.equal(owned(simulation, drained), 0, 'the next leader gives it nothing either');
        assert.equal(ask(simulation, drained, { kind: 'undrain' }), 'done');
        whole(simulation, 'its share again', 3_000);
        assert.ok(owned(simulation, drained) > 0);
        assert.equal(ask(simulation, drained, { kind: 'undrain' }), 'done', 'again is no mistake');
      });
    });
  }

  it('that is taken back before it is over is refused to whoever waits for it', () => {
    play('drain', 3, (simulation) => {
      const drained = followerOf(simulation);
      // Nobody can take its shards: the others are paused.
      for (const machine of simulation.running()) if (machine !== drained) machine.process?.pause(1_500, 'stopped');
      let answer = '';
      simulation.request(drained, { kind: 'drain' }, (outcome) => {
        answer = outcome.kind === 'refused' ? outcome.reason : outcome.kind;
      });
      simulation.run(100);
      assert.equal(ask(simulation, drained, { kind: 'undrain' }), 'done');
      assert.equal(answer, 'the drain was taken back');
      whole(simulation, 'all as it was', 8_000);
    });
  });
});

describe('a restart permit', () => {
  it('is had by one at a time, known to all, and given back', () => {
    play('permit', 3, (simulation) => {
      const [a, b] = simulation.machines as [Machine, Machine, Machine];
      const leader = leaderOf(simulation);
      assert.equal(ask(simulation, leader, take(a)), 'done');
      simulation.run(300);
      assert.deepEqual(new Set(holders(simulation)), new Set([a.nodeId]));
      assert.match(ask(simulation, leader, take(b)), /^REFUSED: .* has the permit, for node .*, for (60|59) s more/);
      assert.equal(ask(simulation, leader, take(a)), 'done', 'its holder may have it anew');
      assert.match(ask(simulation, leader, { kind: 'givePermit', holder: b.nodeId }), /^REFUSED/);
      assert.equal(ask(simulation, leader, { kind: 'givePermit', holder: a.nodeId }), 'done');
      assert.equal(ask(simulation, leader, { kind: 'givePermit', holder: a.nodeId }), 'done', 'again is no mistake');
      assert.equal(ask(simulation, leader, take(b)), 'done');
      const other = simulation.running().find((machine) => machine !== leader) as Machine;
      assert.match(ask(simulation, other, take(b)), /^NOT_LEADER/);
    });
  });

  it('of two that ask in one instant one gets it', () => {
    play('permit', 3, (simulation) => {
      const leader = leaderOf(simulation);
      const answers: string[] = [];
      for (const machine of simulation.machines.slice(0, 2))
        simulation.request(leader, take(machine), (outcome) => {
          answers.push(outcome.kind === 'refused' ? `${outcome.code}: ${outcome.reason}` : outcome.kind);
        });
      simulation.run(2_000);
      assert.equal(answers.length, 2);
      assert.equal(answers.filter((answer) => answer === 'done').length, 1, answers.join());
      assert.equal(answers.filter((answer) => answer.startsWith('REFUSED')).length, 1, answers.join());
    });
  });

  it('outlives the leader that gave it, and a restart of everybody; a new leader counts its time anew', () => {
    play('permit', 3, (simulation) => {
      const follower = followerOf(simulation);
      assert.equal(ask(simulation, leaderOf(simulation), take(follower, 10_000, 'operator')), 'done');
      simulation.run(5_000);
      const fallen = leaderOf(simulation);
      simulation.crash(fallen, 'killed');
      mustBecome(simulation, 'going on', () => missing(simulation, 'gossip may lag'), 3_000);
      assert.deepEqual(new Set(holders(simulation)), new Set(['operator']));
      simulation.start(fallen);
      simulation.run(6_000);
      assert.deepEqual(new Set(holders(simulation)), new Set(['operator']), 'ten seconds of the new leader');
      mustBecome(simulation, 'its end', () => holders(simulation).find((one) => one !== undefined), 6_000);
    });
  });

  it('is not given while a voter is down, nor while shards move; and then it is', () => {
    play('permit', 3, (simulation) => {
      const [a] = simulation.machines as [Machine];
      const leader = leaderOf(simulation);
      const away = simulation.running().find((machine) => machine !== leader) as Machine;
      simulation.crash(away, 'killed');
      simulation.run(500);
      assert.match(ask(simulation, leader, take(a)), /^REFUSED: /);
      simulation.run(10_000);
      assert.match(ask(simulation, leader, take(a)), /^REFUSED: voter .* is not there/);
      simulation.start(away);
      mustBecome(
        simulation,
        'the permit',
        () => {
          const answer = ask(simulation, leaderOf(simulation), take(a));
          return answer === 'done' ? undefined : answer;
        },
        20_000,
      );
      mustBecome(simulation, 'all in their places', () => missing(simulation, 'gossip may lag'), 1_000);
      assert.equal(missingVoters(simulation), undefined);
    });
  });

  for (const how of ['in order', 'by kill'] as const) {
    it(`restarts five nodes ${how}, one after the other, and never takes two from the cluster`, () => {
      play('rolling restart', 5, (simulation) => {
        for (const machine of [...simulation.machines]) {
          const granted = (): string | undefined => {
            const leader = simulation.leader();
            if (leader === undefined) return 'nobody leads';
            const answer = ask(simulation, leader, take(machine));
            return answer === 'done' ? undefined : answer;
          };
          mustBecome(simulation, `a permit for ${machine.nodeId}`, granted, 60_000);
          mustBecome(simulation, 'all in their places', () => missing(simulation, 'gossip may lag'), 1_000);
          if (how === 'in order') {
            let hasLeft = false;
            simulation.leave(machine, () => {
              hasLeft = true;
            });
            mustBecome(simulation, 'leaving', () => (hasLeft ? undefined : 'it is still there'), 21_000);
          } else simulation.crash(machine, 'killed');
          simulation.run(1_000);
          assert.deepEqual(new Set(holders(simulation)), new Set([machine.nodeId]), 'it lasts while the node is away');
          simulation.start(machine);
          const isOver = (): string | undefined => holders(simulation).find((holder) => holder !== undefined);
          mustBecome(simulation, 'the end of the permit by itself', isOver, 40_000);
          assert.equal(missingVoters(simulation), undefined, 'it ends when the node votes again');
        }
      });
    });
  }
});
