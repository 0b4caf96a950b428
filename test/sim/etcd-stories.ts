/** Clusters whose log a standalone etcd keeps: case C-22 of docs/ownership.md section 7, and what must come of an etcd that is away. */
import type { ShardId } from '../../src/model/ids.ts';
import { leaderOf, type Scenario, whole } from './scenarios.ts';
import type { Machine, Simulation } from './simulation.ts';
import { mustBecome } from './swarm.ts';
import { Violation } from './violation.ts';

/** Of the leader's seat (`simulation.ts`), and by how much a clock of 2 % either way may stretch it. */
const TTL_MS = 2_000;
const STRETCHED_MS = TTL_MS * 1.05;
/** Candidates do not come at once, and each asks twice. */
const ELECTION_MS = 600;
/** The new leader waits for the leases that the one before it may have granted, and then makes a map. */
const OWNERS_MS = 2_500;

function form(simulation: Simulation): void {
  for (const machine of simulation.machines) simulation.start(machine);
  whole(simulation, 'founding', 10_000);
  simulation.run(500);
}

function serves(simulation: Simulation, { process }: Machine): boolean {
  for (let shard = 0; shard < simulation.options.shards; shard++) if (process?.owns(shard as ShardId)) return true;
  return false;
}

function anotherLeads(simulation: Simulation, before: Machine, withinMs: number): number {
  const lacks = (): string | undefined =>
    simulation.running().some((one) => one !== before && simulation.view(one)?.role === 'Leader')
      ? undefined
      : 'nobody else leads';
  return mustBecome(simulation, 'another leader', lacks, withinMs);
}

export const ETCD_STORIES: readonly Scenario[] = [
  {
    name: 'etcd: C-22: a leader that etcd does not hear stops serving before another can lead',
    options: { voters: 3, hasEtcd: true },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      simulation.etcd.cutOff(leader.number);
      const stopped = simulation.runUntil(() => !serves(simulation, leader), STRETCHED_MS, 1);
      if (stopped === undefined) throw new Violation(`it still serves after ${STRETCHED_MS} ms`);
      const early = simulation.running().find((one) => one !== leader && simulation.view(one)?.role === 'Leader');
      if (early !== undefined) throw new Violation(`${early.nodeId} leads before it has stopped`);
      const took = stopped + anotherLeads(simulation, leader, STRETCHED_MS + ELECTION_MS - stopped);
      simulation.etcd.end();
      whole(simulation, 'its return', 10_000);
      return took;
    },
  },
  {
    name: 'etcd: C-22: answers that come late do not lengthen the seat of a leader',
    options: { voters: 3, hasEtcd: true },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      simulation.etcd.slowDown(leader.number, 1_500);
      simulation.run(5_000);
      if (simulation.leader() !== leader) throw new Violation('it has lost its seat though etcd heard it');
      simulation.etcd.cutOff(leader.number);
      const took = anotherLeads(simulation, leader, STRETCHED_MS + ELECTION_MS);
      // What still comes to the old one is of before.
      simulation.run(2_000);
      simulation.etcd.end();
      whole(simulation, 'its return', 10_000);
      return took;
    },
  },
  {
    name: 'etcd: one that takes half a second for an answer gets a leader all the same',
    options: { voters: 3, hasEtcd: true },
    play: (simulation) => {
      for (const machine of simulation.machines) {
        simulation.start(machine);
        simulation.etcd.slowDown(machine.number, 500);
      }
      return whole(simulation, 'founding', 15_000);
    },
  },
  {
    name: 'etcd: a node that an operator has removed does not come to lead',
    options: { voters: 3, hasEtcd: true },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      const others = simulation.machines.filter((machine) => machine !== leader);
      const [removed, stays] = others as [Machine, Machine];
      simulation.request(leader, { kind: 'removeNode', node: removed.nodeId });
      simulation.run(3_000);
      simulation.crash(leader, 'killed');
      const took = anotherLeads(simulation, leader, STRETCHED_MS + 2 * ELECTION_MS);
      if (simulation.leader() !== stays) throw new Violation('the removed node leads');
      simulation.run(4_000);
      if (serves(simulation, removed)) throw new Violation('the removed node serves');
      return took;
    },
  },
  {
    name: 'etcd: a leader that is killed has a successor when its seat has run out',
    options: { voters: 3, nonVoters: 1, hasEtcd: true },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      simulation.crash(leader, 'killed');
      const took = anotherLeads(simulation, leader, STRETCHED_MS + ELECTION_MS);
      whole(simulation, 'going on', OWNERS_MS + 10_000);
      simulation.start(leader);
      whole(simulation, 'its return', 10_000);
      return took;
    },
  },
  {
    name: 'etcd: a leader that stands still past its seat has lost it when it wakes',
    options: { voters: 3, hasEtcd: true },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      leader.process?.pause(STRETCHED_MS + 2_000, 'stopped');
      const took = anotherLeads(simulation, leader, STRETCHED_MS + ELECTION_MS);
      simulation.run(STRETCHED_MS + 2_500 - took);
      if (simulation.view(leader)?.role === 'Leader') throw new Violation('it still takes itself for the leader');
      whole(simulation, 'its return', 10_000);
      return took;
    },
  },
  {
    name: 'etcd: a leader that stops in order is followed at once',
    options: { voters: 3, hasEtcd: true },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      simulation.leave(leader, (outcome) => {
        if (outcome?.kind !== 'done') throw new Violation('it could not leave in order');
      });
      const took = anotherLeads(simulation, leader, 3_000);
      whole(simulation, 'going on', 3_000);
      return took;
    },
  },
  {
    name: 'etcd: while it is away nobody serves for longer than the leases, and all serve again with it',
    options: { voters: 2, nonVoters: 1, hasEtcd: true },
    play: (simulation) => {
      form(simulation);
      const { version } = simulation.view(leaderOf(simulation))?.shardMap ?? {};
      simulation.etcd.stop();
      const isIdle = (): boolean => !simulation.machines.some((machine) => serves(simulation, machine));
      const stopped = simulation.runUntil(isIdle, STRETCHED_MS + simulation.options.leaseMs * 1.05, 1);
      if (stopped === undefined) throw new Violation('somebody serves though nothing can be agreed on');
      simulation.run(10_000);
      if (!isIdle()) throw new Violation('somebody serves again though nothing can be agreed on');
      simulation.etcd.end();
      const took = whole(simulation, 'its return', 10_000);
      if (simulation.view(leaderOf(simulation))?.shardMap?.version !== version)
        throw new Violation('shards moved although nobody had gone');
      return took;
    },
  },
  {
    name: 'etcd: all nodes stop and start again: it is the same cluster, its keys are there, and its log stays short',
    options: { voters: 3, hasEtcd: true, snapshots: { entries: 5, trailing: 0 } },
    play: (simulation) => {
      form(simulation);
      const before = leaderOf(simulation).process?.cluster.clusterId;
      for (const machine of simulation.machines) simulation.crash(machine, 'poweredOff');
      simulation.run(STRETCHED_MS);
      for (const machine of simulation.machines) simulation.start(machine);
      const took = whole(simulation, 'its return', 10_000);
      if (leaderOf(simulation).process?.cluster.clusterId !== before) throw new Violation('it is another cluster');
      const keys = simulation.etcd.keyCount;
      if (keys > 20) throw new Violation(`${keys} keys lie in etcd`);
      return took;
    },
  },
];
