/** Who is told to stop when states differ: state-digests.ts, alone and in a cluster with a disk that has been tampered with. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClusterEffect } from '../../src/cluster/messages.ts';
import { StateDigests } from '../../src/cluster/state-digests.ts';
import { type LogIndex, type MemberId, nodeIdOf } from '../../src/model/ids.ts';
import { decodePeerFrame } from '../../src/wire/peer/peer-message.ts';
import { missing } from '../sim/health.ts';
import { quietOptions } from '../sim/options.ts';
import type { SimulatedProcess } from '../sim/process.ts';
import { type Machine, Simulation } from '../sim/simulation.ts';
import { mustBecome } from '../sim/swarm.ts';
import { Trace } from '../sim/trace.ts';

const [A, B, C, D] = ['a', 'b', 'c', 'd'].map((name) => `${name}@0000000000000000` as MemberId) as [
  MemberId,
  MemberId,
  MemberId,
  MemberId,
];
const AT = 64 as LogIndex;

function reported(...reports: readonly (readonly [MemberId, number])[]): StateDigests {
  const digests = new StateDigests();
  for (const [member, digest] of reports) digests.note(member, AT, digest);
  return digests;
}

describe('digests of the state', () => {
  it('name whoever differs from a majority of the voters, once each', () => {
    const digests = reported([A, 1], [B, 2]);
    assert.equal(digests.judge(AT, [A, B, C]), undefined);
    digests.note(C, AT, 1);
    assert.deepEqual(digests.judge(AT, [A, B, C]), { kind: 'differ', index: AT, digest: 1, members: [B] });
    assert.equal(digests.judge(AT, [A, B, C]), undefined);
    digests.note(D, AT, 3);
    assert.deepEqual(digests.judge(AT, [A, B, C]), { kind: 'differ', index: AT, digest: 1, members: [D] });
  });

  it('name the leader too, when the others agree against it', () => {
    const digests = reported([A, 9], [B, 1], [C, 1]);
    assert.deepEqual(digests.judge(AT, [A, B, C]), { kind: 'differ', index: AT, digest: 1, members: [A] });
  });

  it('accuse nobody while two of two differ, and say so once', () => {
    const digests = reported([A, 1], [B, 2]);
    assert.deepEqual(digests.judge(AT, [A, B]), { kind: 'undecided', index: AT });
    assert.equal(digests.judge(AT, [A, B]), undefined);
  });

  it('are nothing while all agree, and count no votes of non-voters', () => {
    assert.equal(reported([A, 1], [B, 1], [C, 1]).judge(AT, [A, B, C]), undefined);
    assert.equal(reported([A, 1], [C, 2], [D, 2]).judge(AT, [A, B]), undefined);
  });

  it('of long ago are forgotten', () => {
    const digests = reported([A, 1], [B, 2]);
    for (let i = 2; i < 12; i++) digests.note(A, (64 * i) as LogIndex, 1);
    digests.note(C, AT, 1);
    assert.equal(digests.judge(AT, [A, B, C]), undefined);
  });
});

/** Notes who stops by itself, and leaves it down. */
class WatchedSimulation extends Simulation {
  readonly stops: { readonly machine: Machine; readonly reason: string; readonly exitCode: number }[] = [];
  /** Members whose digests were passed on to the leader by a voter that they follow. */
  readonly relayedFor: Set<MemberId> = new Set();

  override onEffect(process: SimulatedProcess, effect: ClusterEffect): void {
    if (effect.kind === 'sendPeer') {
      const { message } = decodePeerFrame(effect.bytes);
      if (message.kind === 'digest' && message.relayFor !== undefined) this.relayedFor.add(message.relayFor);
    }
    super.onEffect(process, effect);
  }

  override onStop(process: SimulatedProcess, reason: string, exitCode: number): void {
    const machine = this.machines[process.machine] as Machine;
    this.stops.push({ machine, reason, exitCode });
    this.crash(machine, 'killed');
    machine.hasLeft = true;
  }
}

/** When the cluster was founded, changed by a bit: a field of no importance, but the state is another one. */
function tamper({ directory }: Machine): void {
  const { snapshot } = directory.durable;
  assert.ok(snapshot !== undefined, 'it has a snapshot by now');
  const bytes = snapshot.bytes.slice();
  const nameLength = bytes[2] as number;
  const lastOfCreated = 3 + nameLength + 7;
  bytes[lastOfCreated] = (bytes[lastOfCreated] as number) ^ 1;
  directory.durable.snapshot = { ...snapshot, bytes };
  directory.written = directory.durable.copy();
}

describe('a member whose disk gave it another state', () => {
  for (const who of ['follower', 'leader'] as const)
    it(`stops, and the others go on: ${who}`, () => {
      const simulation = new WatchedSimulation(quietOptions(2, { voters: 3, nonVoters: 1 }), new Trace());
      for (let i = 0; i < 3; i++) simulation.addMachine('voter');
      simulation.addMachine('non-voter');
      for (const machine of simulation.machines) simulation.start(machine);
      const whole = (): number => mustBecome(simulation, 'being whole', () => missing(simulation), 60_000);
      whole();
      const stir = (): void => {
        for (let i = 0; i < 8 && simulation.stops.length === 0; i++) {
          const leader = simulation.leader();
          if (leader !== undefined) simulation.request(leader, { kind: 'stepDown' });
          simulation.run(1_500);
        }
      };
      stir();
      assert.equal(simulation.stops.length, 0);
      assert.deepEqual([...simulation.relayedFor].map(nodeIdOf), [simulation.machines[3]?.nodeId]);
      const [first, second] = simulation.machines.filter(({ kind }) => kind === 'voter') as [Machine, Machine];
      const victim = simulation.leader() === first ? second : first;
      simulation.crash(victim, 'killed');
      tamper(victim);
      simulation.run(4_000);
      simulation.start(victim);
      whole();
      if (who === 'leader')
        for (let i = 0; i < 40 && simulation.leader() !== victim && simulation.stops.length === 0; i++) {
          const leader = simulation.leader();
          if (leader !== undefined) simulation.request(leader, { kind: 'stepDown' });
          simulation.run(700);
        }
      stir();
      const stops: WatchedSimulation['stops'] = simulation.stops;
      assert.deepEqual(
        stops.map(({ machine, exitCode }) => [machine.nodeId, exitCode]),
        [[victim.nodeId, 70]],
      );
      assert.match(stops[0]?.reason ?? '', /state after entry \d+ differs .* "funknode recover rejoin"/);
      mustBecome(simulation, 'going on', () => missing(simulation, 'gossip may lag'), 20_000);
    });
});
