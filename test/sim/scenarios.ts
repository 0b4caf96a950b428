/** Stories with a known plot, each on a quiet network: what a cluster must live through, and how long that may take. */
import type { ClusterOutcome } from '../../src/cluster/messages.ts';
import { type NodeId, nodeIdOf } from '../../src/model/ids.ts';
import { missing, missingVoters, votersOnDisk } from './health.ts';
import { quietOptions, type SimulationOptions } from './options.ts';
import { type Machine, Simulation } from './simulation.ts';
import { mustBecome, stopAndStart } from './swarm.ts';
import { Trace } from './trace.ts';
import { Violation } from './violation.ts';

export interface Scenario {
  readonly name: string;
  readonly options: Partial<SimulationOptions>;
  /** How long the part of interest took, in milliseconds. */
  readonly play: (simulation: Simulation) => number;
}

export interface ScenarioRun {
  readonly tookMs: number;
  readonly hash: string;
  readonly simulation: Simulation;
}

export function playScenario(scenario: Scenario, seed: number, print?: (line: string) => void): ScenarioRun {
  const trace = new Trace(print);
  const simulation = new Simulation(quietOptions(seed, scenario.options), trace);
  for (let i = 0; i < simulation.options.voters; i++) simulation.addMachine('voter');
  for (let i = 0; i < simulation.options.nonVoters; i++) simulation.addMachine('non-voter');
  try {
    return { tookMs: scenario.play(simulation), hash: trace.hash, simulation };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    throw new Violation(`${scenario.name}, seed ${seed}: ${error.message}\n${trace.recent.slice(-60).join('\n')}`);
  }
}

function startAll(simulation: Simulation): void {
  for (const machine of simulation.machines) if (machine.process === undefined) simulation.start(machine);
}

export function whole(simulation: Simulation, what: string, withinMs: number): number {
  return mustBecome(simulation, what, () => missing(simulation), withinMs);
}

/** Formed, and every voter in its place. */
export function form(simulation: Simulation): void {
  startAll(simulation);
  whole(simulation, 'founding', 10_000);
  mustBecome(simulation, 'voters', () => missingVoters(simulation), 60_000);
  // The last change must be committed: while there are two voters, neither can be spared.
  simulation.run(200);
  whole(simulation, 'voters in place', 5_000);
}

export function leaderOf(simulation: Simulation): Machine {
  const leader = simulation.leader();
  if (leader === undefined) throw new Violation('nobody leads');
  return leader;
}

export function followerOf(simulation: Simulation): Machine {
  const leader = leaderOf(simulation);
  const voters = simulation.view(leader)?.configuration.voters ?? [];
  const followers = simulation.running().filter(({ process }) => process && voters.includes(process.cluster.self));
  return followers.find((machine) => machine !== leader) as Machine;
}

/** Kills `victim` and waits until the others are whole without it; then it comes back. */
function killAndReturn(simulation: Simulation, victim: Machine, withinMs: number): number {
  const clusterId = victim.process?.cluster.clusterId;
  simulation.crash(victim, 'killed');
  const took = mustBecome(simulation, 'going on', () => missing(simulation, 'gossip may lag'), withinMs);
  simulation.run(500);
  simulation.start(victim);
  whole(simulation, 'its return', 8_000);
  if (victim.process?.cluster.clusterId !== clusterId) throw new Violation('it came back to another cluster');
  return took;
}

export function split(simulation: Simulation, group: readonly Machine[]): void {
  for (const a of simulation.machines)
    for (const b of simulation.machines)
      if (group.includes(a) !== group.includes(b)) simulation.network.cut(a.number, b.number, ['gossip', 'peer']);
}

function leaveTogether(simulation: Simulation, machines: readonly Machine[]): number {
  const start = simulation.now;
  let left = machines.length;
  for (const machine of machines)
    simulation.leave(machine, (outcome) => {
      if (outcome?.kind !== 'done') throw new Violation(`${machine.nodeId} could not leave in order`);
      left -= 1;
    });
  mustBecome(simulation, 'leaving', () => (left === 0 ? undefined : `${left} are still there`), 21_000);
  return simulation.now - start;
}

function founding(count: number): Scenario {
  return {
    name: `${count} founded at once`,
    options: { voters: count },
    play: (simulation) => {
      startAll(simulation);
      const took = whole(simulation, 'founding', 8_000);
      const ids = new Set(simulation.processes().map((process) => process.cluster.clusterId));
      if (ids.size !== 1) throw new Violation(`${ids.size} clusters were founded`);
      return took;
    },
  };
}

function leavingAtOnce(count: number): Scenario {
  return {
    name: `all of ${count} leave at once and return`,
    options: { voters: count },
    play: (simulation) => {
      form(simulation);
      const clusterId = leaderOf(simulation).process?.cluster.clusterId;
      const took = leaveTogether(simulation, [...simulation.machines]);
      startAll(simulation);
      whole(simulation, 'returning', 20_000);
      if (leaderOf(simulation).process?.cluster.clusterId !== clusterId)
        throw new Violation('another cluster came back');
      return took;
    },
  };
}

export const SCENARIOS: readonly Scenario[] = [
  founding(1),
  founding(2),
  founding(3),
  founding(5),
  founding(7),
  {
    name: '3 voters and 3 non-voters founded at once',
    options: { voters: 3, nonVoters: 3 },
    play: founding(6).play,
  },
  {
    name: 'the leader of 3 is killed and returns',
    options: { voters: 3 },
    play: (simulation) => {
      form(simulation);
      return killAndReturn(simulation, leaderOf(simulation), 2_000);
    },
  },
  {
    name: 'the leader of 5 is killed and returns',
    options: { voters: 5 },
    play: (simulation) => {
      form(simulation);
      return killAndReturn(simulation, leaderOf(simulation), 2_000);
    },
  },
  {
    name: 'a follower of 3 is killed and returns',
    options: { voters: 3 },
    play: (simulation) => {
      form(simulation);
      return killAndReturn(simulation, followerOf(simulation), 2_000);
    },
  },
  {
    name: 'a non-voter is killed and returns',
    options: { voters: 3, nonVoters: 1 },
    play: (simulation) => {
      form(simulation);
      return killAndReturn(simulation, simulation.machines[3] as Machine, 2_000);
    },
  },
  ...(['leader', 'follower'] as const).map(
    (who): Scenario => ({
      name: `the ${who} of 3 stands still for 5 s`,
      options: { voters: 3 },
      play: (simulation) => {
        form(simulation);
        const victim = who === 'leader' ? leaderOf(simulation) : followerOf(simulation);
        victim.process?.pause(5_000, 'stopped');
        simulation.run(5_000);
        return whole(simulation, 'rejoining', 5_000);
      },
    }),
  ),
  {
    name: 'R-7: the disk of the leader of 3 fills up, another leads, and with room it is level by itself',
    options: { voters: 3 },
    play: (simulation) => {
      form(simulation);
      const full = leaderOf(simulation);
      full.directory.setRoom('low');
      const stillLeads = (): string | undefined => (simulation.leader() === full ? 'it leads' : missing(simulation));
      const took = mustBecome(simulation, 'handing over', stillLeads, 3_000);
      full.directory.setRoom('full');
      // What is agreed now needs both of the others; with one of them gone nothing is.
      simulation.run(500);
      const gone = simulation.machines.find(
        (machine) => machine !== full && machine !== simulation.leader(),
      ) as Machine;
      simulation.crash(gone, 'killed');
      simulation.run(6_000);
      if (simulation.leader() === full) throw new Violation('a node leads that can write nothing');
      if (missing(simulation, 'gossip may lag') === undefined) throw new Violation('a map was agreed by one of three');
      full.directory.setRoom('enough');
      mustBecome(simulation, 'room again', () => missing(simulation, 'gossip may lag'), 3_000);
      simulation.start(gone);
      whole(simulation, 'the return of the third', 8_000);
      return took;
    },
  },
  {
    name: 'R-7: all disks of 3 fill up, and who serves goes on serving until there is room',
    options: { voters: 3 },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      for (const { directory } of simulation.machines) directory.setRoom('low');
      simulation.run(1_000);
      for (const { directory } of simulation.machines) directory.setRoom('full');
      for (let i = 0; i < 100; i++) {
        simulation.run(100);
        const lacking = missing(simulation);
        if (lacking !== undefined) throw new Violation(`a full disk took away what needs no disk: ${lacking}`);
      }
      if (simulation.leader() !== leader) throw new Violation('leadership went from one full disk to another');
      for (const { directory } of simulation.machines) directory.setRoom('enough');
      simulation.crash(leader, 'killed');
      return mustBecome(simulation, 'room again', () => missing(simulation, 'gossip may lag'), 3_000);
    },
  },
  {
    name: '12.4: the disk of the leader of 3 hangs under a write, another leads, and nothing is lost when it goes on',
    options: { voters: 3 },
    play: (simulation) => {
      form(simulation);
      const sick = leaderOf(simulation);
      sick.directory.setStalled(true);
      // Its followers commit what it proposes without its disk: only its own watch can notice.
      sick.process?.request({ kind: 'addNode', node: 'nobody' as NodeId }, () => {});
      const other = simulation.machines.find((machine) => machine !== sick) as Machine;
      sick.process?.request({ kind: 'removeNode', node: other.nodeId }, () => {});
      const stillLeads = (): string | undefined =>
        simulation.leader() === sick ? 'it leads' : simulation.leader() === undefined ? 'nobody leads' : undefined;
      const took = mustBecome(simulation, 'handing over', stillLeads, 8_000);
      if (took < 4_000) throw new Violation('leadership left before the disk could be called sick');
      simulation.run(12_000);
      if (simulation.leader() === sick) throw new Violation('a node with a sick disk was made leader');
      sick.directory.setStalled(false);
      const ails = (): string | undefined =>
        sick.process?.cluster.view(sick.process.clock.monotonic()).ailment === undefined ? undefined : 'it ails';
      mustBecome(simulation, 'well again', ails, 2_000);
      return took;
    },
  },
  {
    name: '12.3: the loop of the leader of 3 is late, another leads; when all loops are late, it stays',
    options: { voters: 3 },
    play: (simulation) => {
      form(simulation);
      const late = leaderOf(simulation);
      const tell = (machines: readonly Machine[], p99Ms: number): void => {
        for (const { process } of machines) process?.post({ kind: 'loopDelay', p99Ms });
      };
      tell([late], 200);
      const stillLeads = (): string | undefined => (simulation.leader() === late ? 'it leads' : missing(simulation));
      const took = mustBecome(simulation, 'handing over', stillLeads, 15_000);
      tell([late], 1);
      const next = leaderOf(simulation);
      tell(simulation.machines, 200);
      simulation.run(40_000);
      if (simulation.leader() !== next) throw new Violation('leadership went from one late loop to another');
      return took;
    },
  },
  ...[900, 2_700].map(
    (founded): Scenario => ({
      name: `nodes whose options name other leases go by the founder's of ${founded} ms: a leader that is cut off and its successor agree`,
      options: { voters: 3, nonVoters: 1, leaseMs: founded },
      play: (simulation) => {
        form(simulation);
        // From here on every start has another option than the cluster.
        for (const machine of simulation.machines) machine.ownLeaseMs = 3_600 - founded;
        let took = 0;
        for (const machine of simulation.machines) {
          simulation.crash(machine, 'killed');
          simulation.start(machine);
          whole(simulation, 'its return', 15_000);
          split(simulation, [machine]);
          // The checker of owners looks on (SO-1).
          simulation.run(6_000);
          simulation.network.heal();
          took = whole(simulation, 'healing', 15_000);
        }
        return took;
      },
    }),
  ),
  {
    name: 'a voter of higher priority leads once it has stood ready for a while, and again after its return',
    options: { voters: 3, priorities: [0, 10, 5] },
    play: (simulation) => {
      form(simulation);
      const [, first, second] = simulation.machines as [Machine, Machine, Machine];
      const leads = (machine: Machine) => (): string | undefined =>
        simulation.leader() === machine ? missing(simulation, 'gossip may lag') : 'somebody else leads';
      const took = mustBecome(simulation, 'the preferred leader', leads(first), 20_000);
      simulation.run(30_000);
      if (simulation.leader() !== first) throw new Violation('a preferred leader does not keep the lead');
      simulation.crash(first, 'killed');
      mustBecome(simulation, 'the next preferred', leads(second), 30_000);
      simulation.start(first);
      mustBecome(simulation, 'its return', leads(first), 40_000);
      return took;
    },
  },
  {
    name: '2 and 3 are split for 6 s and healed',
    options: { voters: 5 },
    play: (simulation) => {
      form(simulation);
      const group = simulation.chance.shuffled(simulation.machines).slice(0, 2);
      split(simulation, group);
      const majority = simulation.machines.filter((machine) => !group.includes(machine));
      mustBecome(
        simulation,
        'the majority goes on',
        () => majority.map((machine) => simulation.view(machine)?.state).find((state) => state !== 'Operational'),
        4_000,
      );
      simulation.run(6_000);
      const idle = group.map((machine) => simulation.view(machine)?.state);
      if (idle.includes('Operational')) throw new Violation('the minority is Operational');
      simulation.network.heal();
      return mustBecome(simulation, 'healing', () => missing(simulation, 'gossip may lag'), 4_000);
    },
  },
  {
    name: 'all of 5 leave one after the other and return',
    options: { voters: 5, nonVoters: 1 },
    play: (simulation) => {
      form(simulation);
      const start = simulation.now;
      stopAndStart(simulation);
      return simulation.now - start;
    },
  },
  {
    name: 'all of 3 leave one after the other, and no disk but that of the last claims a vote',
    options: {
      voters: 3,
      network: { delayMinMs: 0.1, delayMeanMs: 0.3, loss: 0.05, duplication: 0, lateness: 0, replay: 0 },
    },
    play: (simulation) => {
      form(simulation);
      // The word that one was dropped may come before the entry that says so.
      simulation.network.options = simulation.options.network;
      const start = simulation.now;
      const order = simulation.chance.shuffled(simulation.machines);
      for (const machine of order) leaveTogether(simulation, [machine]);
      const claims = order.map((machine) => votersOnDisk(machine).map(nodeIdOf));
      const last = order.at(-1) as Machine;
      for (const [i, voters] of claims.entries())
        if (voters.includes((order[i] as Machine).nodeId) !== (order[i] === last))
          throw new Violation(
            `they left as ${order.map(({ nodeId }) => nodeId)}, and their disks say ${claims.join(' | ')}`,
          );
      const took = simulation.now - start;
      simulation.start(last);
      whole(simulation, 'the last one stands alone', 3_000);
      return took;
    },
  },
  leavingAtOnce(3),
  leavingAtOnce(5),
  {
    name: 'all of 5 are killed at once and return',
    options: { voters: 5, nonVoters: 2 },
    play: (simulation) => {
      form(simulation);
      const clusterId = leaderOf(simulation).process?.cluster.clusterId;
      for (const machine of simulation.machines) simulation.crash(machine, 'killed');
      simulation.run(200);
      startAll(simulation);
      const took = whole(simulation, 'returning', 8_000);
      if (leaderOf(simulation).process?.cluster.clusterId !== clusterId)
        throw new Violation('another cluster came back');
      return took;
    },
  },
  {
    name: 'two founded apart become one when they meet',
    options: { voters: 2 },
    play: (simulation) => {
      split(simulation, [simulation.machines[0] as Machine]);
      startAll(simulation);
      const isFounded = (machine: Machine): boolean => simulation.view(machine)?.state === 'Operational';
      mustBecome(
        simulation,
        'founding apart',
        () => (simulation.machines.every(isFounded) ? undefined : 'not yet'),
        8_000,
      );
      simulation.network.heal();
      // They find each other with the next question by mDNS, at most half a minute later.
      return whole(simulation, 'becoming one', 45_000);
    },
  },
  {
    name: 'three founded apart become one when they meet',
    options: { voters: 3, nonVoters: 1 },
    play: (simulation) => {
      for (const machine of simulation.machines) split(simulation, [machine]);
      for (const machine of simulation.machines) simulation.start(machine);
      const isFounded = (machine: Machine): boolean =>
        machine.kind !== 'voter' || simulation.view(machine)?.state === 'Operational';
      mustBecome(
        simulation,
        'founding apart',
        () => (simulation.machines.every(isFounded) ? undefined : 'not yet'),
        8_000,
      );
      simulation.network.heal();
      return whole(simulation, 'becoming one', 45_000);
    },
  },
  {
    name: 'the only voter of 2 leaves, and its heir goes on',
    options: { voters: 2, votersWanted: 1 },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      const clusterId = leader.process?.cluster.clusterId;
      const took = leaveTogether(simulation, [leader]);
      whole(simulation, 'the heir goes on', 1_000);
      // Nobody needs its vote any more, though its own log still says that it has one.
      simulation.start(leader);
      whole(simulation, 'the returning one follows', 4_000);
      if (leader.process?.cluster.clusterId !== clusterId) throw new Violation('it came back to another cluster');
      return took;
    },
  },
  {
    name: 'a member that joined while another was cut off is known to it soon',
    options: { voters: 3, nonVoters: 1 },
    play: (simulation) => {
      const [first, second, third, late] = simulation.machines as [Machine, Machine, Machine, Machine];
      for (const machine of [first, second, third]) simulation.start(machine);
      whole(simulation, 'founding', 8_000);
      const leader = leaderOf(simulation);
      // Too short for anybody to be called dead: only the news of the newcomer is missed.
      for (const machine of [first, second, third])
        if (machine !== leader) simulation.network.cut(machine.number, leader.number, ['gossip']);
      simulation.network.cut(late.number, leader.number, ['gossip']);
      simulation.start(late);
      simulation.run(1_500);
      simulation.network.heal();
      return whole(simulation, 'knowing it', 4_000);
    },
  },
  {
    name: 'an operator takes back a removal that could not be had, and the node stays',
    options: { voters: 3 },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      const [kept, away] = simulation.machines.filter((machine) => machine !== leader) as [Machine, Machine];
      // Two of three remain: neither can be spared.
      simulation.crash(away, 'killed');
      simulation.run(3_000);
      const answers: string[] = [];
      const note = (outcome: ClusterOutcome): void => {
        answers.push(outcome.kind === 'refused' ? outcome.code : outcome.kind);
      };
      simulation.request(leader, { kind: 'removeNode', node: kept.nodeId }, note);
      simulation.run(1_000);
      simulation.request(leader, { kind: 'addNode', node: kept.nodeId }, note);
      simulation.run(1_000);
      if (answers.join() !== 'done') throw new Violation(`the answers were ${answers.join() || 'none'}`);
      simulation.start(away);
      whole(simulation, 'the third returns', 8_000);
      return killAndReturn(simulation, kept, 2_000);
    },
  },
  {
    name: '3 found and stay whole while a tenth of all is lost',
    options: {
      voters: 3,
      network: { delayMinMs: 0.1, delayMeanMs: 0.3, loss: 0.1, duplication: 0.05, lateness: 0, replay: 0 },
    },
    play: (simulation) => {
      simulation.network.options = simulation.options.network;
      startAll(simulation);
      const took = whole(simulation, 'founding', 10_000);
      simulation.run(20_000);
      whole(simulation, 'being whole', 5_000);
      return took;
    },
  },
];
