/**
 * What is left over of a cluster whose only voter dissolved it: learners whose logs name them voters, by an entry that was never
 * on that voter's own disk. They give way when it tells them, whatever was started again meanwhile.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { ClusterId, NodeId } from '../../src/model/ids.ts';
import { openDataDirectory, setDirectoryAside } from '../../src/runtime/data-directory.ts';
import { decodeDissolutions } from '../../src/wire/raft/identity.ts';
import { configurationOf, missing, missingVoters, votersOf } from '../sim/health.ts';
import { quietOptions } from '../sim/options.ts';
import { type Machine, Simulation } from '../sim/simulation.ts';
import { mustBecome } from '../sim/swarm.ts';
import { Trace } from '../sim/trace.ts';

const CLUSTER = 'MMMMMMMMMMMMMMMMMMMMMA' as ClusterId;

function cutApart(simulation: Simulation, one: readonly Machine[], other: readonly Machine[]): void {
  for (const a of one)
    for (const b of other) {
      simulation.network.cut(a.number, b.number, ['gossip', 'peer']);
      simulation.network.cut(b.number, a.number, ['gossip', 'peer']);
    }
}

/** Two clusters founded apart; the founder of the second, and its learners, are told before its own disk knows. */
function leftOver(seed: number): { simulation: Simulation; founder: Machine; learners: readonly Machine[] } {
  const simulation = new Simulation(quietOptions(seed, { votersWanted: 3 }), new Trace());
  const all = Array.from({ length: 6 }, () => simulation.addMachine('voter'));
  const [ours, theirs] = [all.slice(0, 3), all.slice(3)];
  cutApart(simulation, ours, theirs);
  for (const machine of all) simulation.start(machine);
  const isFounder = (machine: Machine): boolean => simulation.view(machine)?.role === 'Leader';
  mustBecome(simulation, 'founding', () => (ours.some(isFounder) ? undefined : 'nobody leads'), 10_000);
  const founder = ours.find(isFounder) as Machine;
  const learners = ours.filter((machine) => machine !== founder);
  // From here on its disk does nothing more: the next step makes the learners voters.
  const hasLearners = (): boolean => configurationOf(founder.directory.durable)?.learners.length === 2;
  assert.ok(simulation.runUntil(hasLearners, 20_000, 1) !== undefined, 'both are learners');
  founder.slowness = 60_000;
  const isTold = (machine: Machine): boolean => votersOf(machine.directory.durable).length === 3;
  mustBecome(simulation, 'being told', () => (learners.every(isTold) ? undefined : 'not yet'), 20_000);
  simulation.crash(founder, 'poweredOff');
  founder.slowness = 0;
  assert.equal(votersOf(founder.directory.durable).length, 1, 'what the founder has told is not on its own disk');
  // It comes back beside the other cluster.
  simulation.network.heal();
  cutApart(simulation, learners, [founder, ...theirs]);
  simulation.start(founder);
  const isOne = (): boolean => founder.process?.cluster.clusterId === theirs[0]?.process?.cluster.clusterId;
  mustBecome(simulation, 'dissolving', () => (isOne() ? undefined : 'it has its old cluster'), 30_000);
  return { simulation, founder, learners };
}

function becomeOne(simulation: Simulation): void {
  simulation.network.heal();
  mustBecome(simulation, 'becoming one', () => missing(simulation), 60_000);
  mustBecome(simulation, 'voters', () => missingVoters(simulation), 60_000);
}

const SEEDS: readonly number[] = [1, 2, 3];

describe('what is left over of a dissolved cluster', () => {
  for (const seed of SEEDS)
    it(`gives way when its only voter says that it gave it up (seed ${seed})`, () => {
      const { simulation } = leftOver(seed);
      becomeOne(simulation);
    });

  it('gives way also when that voter, and all others, were started again meanwhile', () => {
    const { simulation, founder, learners } = leftOver(1);
    for (const machine of [founder, ...learners]) {
      simulation.crash(machine, 'killed');
      simulation.start(machine);
    }
    becomeOne(simulation);
  });

  it('stays when that voter has only lost its disk: others may know more', () => {
    const { simulation, founder, learners } = leftOver(1);
    simulation.crash(founder, 'killed');
    founder.directory.wipe();
    simulation.start(founder);
    simulation.network.heal();
    simulation.run(30_000);
    for (const { directory } of learners) assert.equal(votersOf(directory.durable).length, 3);
  });
});

describe('a data directory', () => {
  it('remembers what its earlier members dissolved, and nothing that a member who lives is said to have', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-'));
    const path = join(folder, 'data');
    try {
      const first = await openDataDirectory(path, { nodeId: 'a' as NodeId });
      assert.deepEqual(first.dissolutions, []);
      const told = { clusterId: CLUSTER, member: first.memberId };
      const second = await first.startOver(undefined, told);
      assert.deepEqual(second.dissolutions, [told]);
      await second.release();
      await setDirectoryAside(path);
      const third = await openDataDirectory(path, { nodeId: 'a' as NodeId });
      assert.deepEqual(third.dissolutions, [told], 'it stays when data is set aside by hand');
      await third.release();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('forgets what a crash has undone: who lives has dissolved nothing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-'));
    const path = join(folder, 'data');
    // Every stamp is the same: the member that comes back is the one that was about to go.
    const options = { nodeId: 'a' as NodeId, randomBytes: (count: number) => new Uint8Array(count) };
    try {
      const first = await openDataDirectory(path, options);
      const second = await first.startOver(undefined, { clusterId: CLUSTER, member: first.memberId });
      assert.deepEqual(second.dissolutions, []);
      await second.release();
      assert.deepEqual(decodeDissolutions(readFileSync(join(path, 'DISSOLVED'))), []);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
