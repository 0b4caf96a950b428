/** Cases of docs/ownership.md section 7 that take whole nodes: who serves what, and until when, is asked of every process as its application would. */
import type { ShardId } from '../../src/model/ids.ts';
import type { ShardMap } from '../../src/model/shard-map.ts';
import type { ShardResize } from '../../src/model/shard-plan.ts';
import { claimsVote, missingVoters } from './health.ts';
import { followerOf, form, leaderOf, type Scenario, split, whole } from './scenarios.ts';
import type { Machine, Simulation } from './simulation.ts';
import { mustBecome } from './swarm.ts';
import { Violation } from './violation.ts';

/** A lease and the leader's own, at most, in true time: clocks may be slow by 2 %, and a turn may be late (docs/ownership.md 6). */
const LEASE_MS = 918;
const LEADER_LEASE_MS = 246;
const LATE_MS = 5;

function shardsOf({ options }: Simulation, { process }: Machine): number {
  if (process === undefined) return 0;
  let count = 0;
  for (let shard = 0; shard < options.shards; shard++) if (process.owns(shard as ShardId)) count += 1;
  return count;
}

/** Looks every 5 ms for so long; throws as soon as one of them serves none of its shards. */
function mustServe(simulation: Simulation, machines: readonly Machine[], forMs: number): void {
  const idle = (): Machine | undefined => machines.find((machine) => shardsOf(simulation, machine) === 0);
  if (simulation.runUntil(() => idle() !== undefined, forMs, 5) === undefined) return;
  throw new Violation(`${idle()?.nodeId} stopped serving although its shards did not have to move`);
}

/** A second voter that an operator has asked for: by itself a cluster rests at one or three. */
function pairOfVoters(simulation: Simulation): [Machine, Machine] {
  const leader = leaderOf(simulation);
  const other = simulation.machines.find((machine) => machine !== leader) as Machine;
  simulation.request(leader, { kind: 'addNode', node: other.nodeId });
  const lacksVoter = (): string | undefined =>
    simulation.view(other)?.configuration.voters.length === 2 ? undefined : 'it has no vote';
  mustBecome(simulation, 'a second voter', lacksVoter, 5_000);
  return [leader, other];
}

function ownersByShard(simulation: Simulation): string {
  const map = simulation.view(leaderOf(simulation))?.shardMap;
  return map === undefined ? '' : Array.from(map.ownerOf, (owner) => map.owners[owner]?.node).join();
}

/** Asks whoever leads, again and again, until the map says that it has come. */
function agree(simulation: Simulation, resize: ShardResize, hasCome: (map: ShardMap) => boolean): void {
  const lacks = (): string | undefined => {
    const leader = simulation.leader();
    const map = leader === undefined ? undefined : simulation.view(leader)?.shardMap;
    if (map !== undefined && hasCome(map)) return undefined;
    if (leader !== undefined) simulation.request(leader, { kind: 'configureShards', change: { resize } });
    return 'the number of shards is what it was';
  };
  mustBecome(simulation, `the change "${resize.kind}"`, lacks, 20_000);
}

const HARM_WITHIN_MS = 400;

/** One of them dies, stands still, is cut off or has to hand over, a little later. */
function harm(simulation: Simulation): void {
  const { chance } = simulation;
  const machine = chance.pick(simulation.running()) as Machine;
  simulation.at(simulation.now + chance.between(0, HARM_WITHIN_MS), () => {
    switch (chance.below(4)) {
      case 0:
        return simulation.crash(machine, 'killed');
      case 1:
        return machine.process?.pause(chance.between(200, 3_000), 'stopped');
      case 2:
        return split(simulation, [machine]);
      default:
        return simulation.request(simulation.leader() ?? machine, { kind: 'stepDown' });
    }
  });
}

function mend(simulation: Simulation): void {
  simulation.run(HARM_WITHIN_MS);
  simulation.network.heal();
  for (const machine of simulation.machines) if (machine.process === undefined) simulation.start(machine);
  whole(simulation, 'healing', 15_000);
}

export const OWNERSHIP_STORIES: readonly Scenario[] = [
  {
    name: 'the only voter leaves just after the other one was killed on its way out and came back: it hands over all the same',
    options: { voters: 2 },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      const other = simulation.machines.find((machine) => machine !== leader) as Machine;
      simulation.leave(other);
      const isDropped = (): string | undefined =>
        simulation.view(leader)?.configuration.learners.length === 0 ? undefined : 'it is a learner still';
      mustBecome(simulation, 'being dropped', isDropped, 5_000);
      simulation.crash(other, 'killed');
      simulation.start(other);
      simulation.run(100);
      const isKnown = (): string | undefined =>
        simulation.view(leader)?.members.find(({ name }) => name === other.nodeId)?.status === 'alive'
          ? undefined
          : 'its return is not known';
      mustBecome(simulation, 'its return', isKnown, 5_000);
      let left = '';
      simulation.leave(leader, (outcome) => {
        left = outcome?.kind ?? 'not at all';
      });
      const took = mustBecome(simulation, 'leaving', () => (left === 'done' ? undefined : left), 10_000);
      if (claimsVote(leader)) throw new Violation('it has taken its vote with it');
      whole(simulation, 'the other one alone', 10_000);
      return took;
    },
  },
  ...(
    [
      ['leader', LEADER_LEASE_MS],
      ['follower', LEASE_MS],
    ] as const
  ).map(
    ([survivor, limitMs]): Scenario => ({
      name: `C-16: of 2 voters one dies: the other, its ${survivor}, stops within its lease, and both serve when it is back`,
      options: { voters: 2, votersWanted: 1 },
      play: (simulation) => {
        form(simulation);
        const [leader, follower] = pairOfVoters(simulation);
        const [stays, dies] = survivor === 'leader' ? [leader, follower] : [follower, leader];
        simulation.crash(dies, 'killed');
        const took = simulation.runUntil(() => shardsOf(simulation, stays) === 0, limitMs + LATE_MS, 1);
        if (took === undefined) throw new Violation(`it still serves ${limitMs + LATE_MS} ms after the other's death`);
        simulation.run(5_000);
        if (shardsOf(simulation, stays) > 0) throw new Violation('it serves without a quorum');
        simulation.start(dies);
        whole(simulation, 'its return', 8_000);
        return took;
      },
    }),
  ),
  {
    name: 'C-18: a leader cannot be removed; deposed, it serves again with its first grant, and goes when its shards have gone',
    options: { voters: 4, votersWanted: 3 },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      const others = simulation.machines.filter((machine) => machine !== leader);
      let answer = '';
      simulation.request(leader, { kind: 'removeNode', node: leader.nodeId }, (outcome) => {
        answer = outcome.kind === 'refused' ? outcome.code : outcome.kind;
      });
      mustServe(simulation, simulation.machines, 200);
      if (answer !== 'REFUSED') throw new Violation(`the removal of a leader was answered with ${answer || 'nothing'}`);
      simulation.request(leader, { kind: 'stepDown' });
      const isDeposed = (): boolean => simulation.leader() !== undefined && simulation.leader() !== leader;
      const stopped = simulation.runUntil(() => shardsOf(simulation, leader) === 0, 200, 1);
      const took = mustBecome(
        simulation,
        'serving again as a follower',
        () => (isDeposed() && shardsOf(simulation, leader) > 0 ? undefined : 'it does not serve'),
        200,
      );
      if (stopped === undefined) throw new Violation('the leader served while its successor was told to campaign');
      mustServe(simulation, others, 500);
      simulation.request(leaderOf(simulation), { kind: 'removeNode', node: leader.nodeId });
      mustServe(simulation, others, 3_000);
      const voters = simulation.view(leaderOf(simulation))?.configuration.voters ?? [];
      if (voters.some((voter) => voter === leader.process?.cluster.self)) throw new Violation('it is a voter still');
      return took;
    },
  },
  {
    name: 'C-19: a voter is cut off from the leader, its non-voters are not: they find another, and nobody else stops',
    options: { voters: 3, nonVoters: 4 },
    play: (simulation) => {
      form(simulation);
      const [leader, cutOff] = [leaderOf(simulation), followerOf(simulation)];
      simulation.network.cut(leader.number, cutOff.number, ['gossip', 'peer']);
      simulation.network.cut(cutOff.number, leader.number, ['gossip', 'peer']);
      const others = simulation.machines.filter((machine) => machine !== cutOff);
      mustServe(simulation, others, 4_000);
      if (shardsOf(simulation, cutOff) > 0) throw new Violation('who hears no leader serves');
      simulation.network.heal();
      return whole(simulation, 'healing', 8_000);
    },
  },
  {
    name: 'with a restart grace all stop and return one after the other, the leader too, and no shard changes its node',
    options: { voters: 3, nonVoters: 1, restartGraceMs: 20_000 },
    play: (simulation) => {
      form(simulation);
      const start = simulation.now;
      const before = ownersByShard(simulation);
      for (const machine of simulation.chance.shuffled(simulation.machines)) {
        const others = simulation.machines.filter((other) => other !== machine);
        let hasLeft = false;
        simulation.leave(machine, () => (hasLeft = true));
        const lacks = (): string | undefined => (hasLeft ? undefined : 'it is still there');
        mustBecome(simulation, 'leaving', lacks, 21_000);
        mustServe(simulation, others, 3_000);
        if (ownersByShard(simulation) !== before) throw new Violation('a shard went to another node meanwhile');
        simulation.start(machine);
        whole(simulation, 'its return', 10_000);
        mustBecome(simulation, 'voters', () => missingVoters(simulation), 60_000);
        if (ownersByShard(simulation) !== before) throw new Violation('a shard went to another node');
      }
      return simulation.now - start;
    },
  },
  {
    name: 'another number of shards comes, is taken back and comes again, while nodes die, sleep, are cut off and hand over',
    options: { voters: 3, nonVoters: 1 },
    play: (simulation) => {
      form(simulation);
      const { chance } = simulation;
      let count = simulation.options.shards;
      const start = simulation.now;
      for (let round = 0; round < 3; round++) {
        const to = round === 1 ? count - 1 - chance.below(20) : count + 1 + chance.below(40);
        if (round > 0) harm(simulation);
        agree(simulation, { kind: 'begin', to }, (map) => map.nextShardCount === to);
        if (round === 0) mustServe(simulation, simulation.machines, 1_000);
        else mend(simulation);
        const isTaken = round !== 1;
        if (round > 0) harm(simulation);
        agree(simulation, { kind: isTaken ? 'done' : 'abort' }, (map) => map.nextShardCount === undefined);
        if (isTaken) count = to;
        mend(simulation);
        const map = simulation.view(leaderOf(simulation))?.shardMap;
        if (map?.shardCount !== count) throw new Violation(`the map has ${map?.shardCount} shards, not ${count}`);
      }
      return simulation.now - start;
    },
  },
];
