/** How a node comes to a cluster and leaves one, at the instants at which it may be interrupted. On the invented network of test/sim. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { ClusterEffect, ClusterOutcome, ClusterRequest } from '../../src/cluster/messages.ts';
import type { ClusterId, MemberId, NodeId } from '../../src/model/ids.ts';
import { openDataDirectory } from '../../src/runtime/data-directory.ts';
import { encodePeerFrame } from '../../src/wire/peer/peer-message.ts';
import { missing, missingVoters } from '../sim/health.ts';
import { quietOptions } from '../sim/options.ts';
import type { SimulatedProcess } from '../sim/process.ts';
import { type Machine, Simulation } from '../sim/simulation.ts';
import { mustBecome } from '../sim/swarm.ts';
import { Trace } from '../sim/trace.ts';

const LOST = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;

function machines(simulation: Simulation, count: number): Machine[] {
  return Array.from({ length: count }, () => simulation.addMachine('voter'));
}

function startAll(simulation: Simulation): void {
  for (const machine of simulation.machines) simulation.start(machine);
}

function form(simulation: Simulation): void {
  startAll(simulation);
  mustBecome(simulation, 'founding', () => missing(simulation), 10_000);
  mustBecome(simulation, 'voters', () => missingVoters(simulation), 60_000);
}

/** Asks for everything that is written to a log, in the turn in which a node sets its data aside. */
class AskingAtTheWorstTime extends Simulation {
  readonly answers: ClusterOutcome[] = [];
  asked = 0;
  writtenAfter: string[] = [];
  #resetting: SimulatedProcess | undefined;

  override onEffect(process: SimulatedProcess, effect: ClusterEffect): void {
    super.onEffect(process, effect);
    if (process === this.#resetting && ['persist', 'saveSnapshot'].includes(effect.kind) && this.#isOld(process))
      this.writtenAfter.push(effect.kind);
    if (effect.kind !== 'resetLog') return;
    this.#resetting = process;
    const other = this.machines.find((machine) => machine.process !== process);
    const node = other?.nodeId as NodeId;
    const requests: ClusterRequest[] = [{ kind: 'removeNode', node }, { kind: 'addNode', node }, { kind: 'stepDown' }];
    for (const request of requests) {
      this.asked += 1;
      process.request(request, (outcome) => this.answers.push(outcome));
    }
  }

  #isOld(process: SimulatedProcess): boolean {
    return process.cluster.self === `${process.config.nodeId}@${process.config.stamp}`;
  }
}

describe('dissolving', () => {
  it('writes nothing more to the log that it sets aside, and answers whoever asks meanwhile', () => {
    const simulation = new AskingAtTheWorstTime(quietOptions(1, { diskMs: 20 }), new Trace());
    const [a, b] = machines(simulation, 2) as [Machine, Machine];
    simulation.network.cut(a.number, b.number, ['gossip', 'peer']);
    simulation.network.cut(b.number, a.number, ['gossip', 'peer']);
    startAll(simulation);
    const isFounded = (machine: Machine): boolean => simulation.view(machine)?.state === 'Operational';
    mustBecome(simulation, 'founding', () => (isFounded(a) && isFounded(b) ? undefined : 'not yet'), 8_000);
    simulation.network.heal();
    mustBecome(simulation, 'becoming one', () => missing(simulation), 45_000);
    assert.equal(simulation.asked, 3);
    assert.deepEqual(simulation.writtenAfter, []);
    assert.equal(simulation.answers.length, 3);
  });
});

describe('a directory that names a cluster and holds no log', () => {
  it('is no lost log: the founder ended between its two writes, and founds as a new member', () => {
    const simulation = new Simulation(quietOptions(1), new Trace());
    const all = machines(simulation, 3);
    const smallest = [...all].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))[0] as Machine;
    for (const image of [smallest.directory.written, smallest.directory.durable]) image.clusterId = LOST;
    const before = smallest.directory.written.stamp;
    startAll(simulation);
    mustBecome(simulation, 'founding', () => missing(simulation), 10_000);
    assert.notEqual(smallest.directory.written.stamp, before);
    assert.notEqual(simulation.view(smallest)?.clusterId, LOST);
  });

  it('opens, for the log begins before its cluster is named', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-'));
    try {
      const first = await openDataDirectory(join(folder, 'data'), { nodeId: 'a' as NodeId });
      await first.log.identify(LOST);
      await first.release();
      const again = await openDataDirectory(join(folder, 'data'), { nodeId: 'a' as NodeId });
      assert.equal(again.log.clusterId, LOST);
      assert.deepEqual(again.log.recovered.entries, []);
      await again.release();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('a node that followed before it was a member', () => {
  it('cuts no log that it does not have, however short its room is', () => {
    const simulation = new Simulation(quietOptions(1, { voters: 3 }), new Trace());
    machines(simulation, 3);
    startAll(simulation);
    const isAhead = ({ process }: Machine): boolean =>
      process?.cluster.raftStanding?.commitIndex === 0 && (simulation.view(machineOf(process))?.appliedIndex ?? 0) > 0;
    const machineOf = (process: SimulatedProcess): Machine => simulation.machines[process.machine] as Machine;
    assert.ok(simulation.runUntil(() => simulation.machines.some(isAhead), 10_000, 0.05) !== undefined);
    const machine = simulation.machines.find(isAhead) as Machine;
    for (const { number } of simulation.machines) {
      simulation.network.cut(number, machine.number, ['peer']);
      simulation.network.cut(machine.number, number, ['peer']);
    }
    // Asked for while room is low, and saved when there is more.
    machine.slowness = 100;
    machine.directory.setRoom('low');
    simulation.run(2);
    machine.slowness = 0;
    machine.directory.setRoom('enough');
    simulation.run(200);
    assert.equal(machine.directory.durable.snapshot, undefined);
    simulation.network.heal();
    mustBecome(simulation, 'becoming whole', () => missing(simulation), 20_000);
  });
});

describe('giving up the vote', () => {
  it('is over when the leader that was asked says so, and nobody else', () => {
    const simulation = new Simulation(quietOptions(1), new Trace());
    machines(simulation, 3);
    form(simulation);
    const leader = simulation.leader() as Machine;
    const leaving = simulation.machines.find((machine) => machine !== leader) as Machine;
    const process = leaving.process as SimulatedProcess;
    const self = process.cluster.self;
    let votersAtTheEnd: readonly string[] | undefined;
    simulation.leave(leaving, () => {
      votersAtTheEnd = simulation.view(leader)?.configuration.voters;
    });
    const bytes = encodePeerFrame({
      clusterId: undefined,
      from: 'stranger@0123456789abcdef' as MemberId,
      to: self,
      message: { kind: 'response', id: 1, answer: { kind: 'done' } },
    });
    // The peer ports are cut: the leader does not hear it for a while.
    for (const other of simulation.machines) simulation.network.cut(leaving.number, other.number, ['peer']);
    for (let i = 0; i < 20; i++) {
      process.receive({ kind: 'peerFrame', bytes });
      simulation.run(100);
    }
    simulation.network.heal();
    mustBecome(simulation, 'leaving', () => (votersAtTheEnd === undefined ? 'not yet' : undefined), 20_000);
    assert.ok(!votersAtTheEnd?.includes(self), 'its vote was given up before it left');
  });
});
