/** Stories about what must not happen: elections without a cause, removals that gossip alone decides, news that starves the pulse. */
import { utf8 } from '../../src/base/bytes.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import type { SimulatedProcess } from './process.ts';
import { followerOf, form, leaderOf, type Scenario, split, whole } from './scenarios.ts';
import type { Machine, Simulation } from './simulation.ts';
import { LamportTimes } from './checkers/lamport-times.ts';
import { mustBecome } from './swarm.ts';
import { Violation } from './violation.ts';

const isLong = process.env['FUNKNODE_LONG'] === '1';
const MINUTE = 60_000;
const QUIET_MS: number = (isLong ? 30 : 1) * MINUTE;
/** Longer than dead voters are waited for (two minutes). */
const GOSSIP_CUT_MS: number = (isLong ? 10 : 2.2) * MINUTE;
const LOSSY = { delayMinMs: 0.1, delayMeanMs: 0.3, loss: 0.2, duplication: 0.3, lateness: 0.01, replay: 0.1 };

/** Events of these kinds from now on. */
function watch(simulation: Simulation, kinds: readonly NodeEvent['kind'][]): string[] {
  const seen: string[] = [];
  simulation.watchers.push((process: SimulatedProcess, event: NodeEvent) => {
    if (kinds.includes(event.kind)) seen.push(`${process.name} ${event.kind}`);
  });
  return seen;
}

function termOf(simulation: Simulation, machine: Machine): number {
  return simulation.view(machine)?.term ?? 0;
}

/** Somebody tells all of something every so often. */
function tell(simulation: Simulation, everyMs: number, untilMs: number): { sent: number } {
  const told = { sent: 0 };
  const next = (): void => {
    if (simulation.now >= untilMs) return;
    const machine = simulation.chance.pick(simulation.running());
    told.sent += 1;
    const payload = utf8(`${told.sent} ${'x'.repeat(300)}`);
    machine?.process?.request(
      { kind: 'gossip', request: { kind: 'userEvent', name: 'news', payload, coalesce: false } },
      () => undefined,
    );
    simulation.at(simulation.now + everyMs, next);
  };
  next();
  return told;
}

function deliveriesOf(simulation: Simulation): number {
  return simulation.checkers.find((checker) => checker instanceof LamportTimes)?.deliveries ?? 0;
}

export const QUIET_STORIES: readonly Scenario[] = [
  {
    name: `I-28, G-6: in ${QUIET_MS / MINUTE} minutes without a fault nobody is elected, missed or moved`,
    options: { voters: 3, nonVoters: 1 },
    play: (simulation) => {
      form(simulation);
      simulation.run(10_000);
      const term = termOf(simulation, leaderOf(simulation));
      const surprises = watch(simulation, [
        'leaderChanged',
        'leaderLost',
        'leaseLost',
        'memberFailed',
        'shardMapChanged',
      ]);
      const suspicions = suspicionsOf(simulation);
      simulation.run(QUIET_MS);
      if (surprises.length > 0) throw new Violation(`I-28: ${surprises.join(', ')}`);
      if (termOf(simulation, leaderOf(simulation)) !== term) throw new Violation('I-28: the term has risen');
      if (suspicionsOf(simulation) > suspicions) throw new Violation('G-6: somebody was suspected');
      return QUIET_MS;
    },
  },
  {
    name: 'I-28, I-20: who is cut off for 20 s leads no more, and costs nobody an election when it is back',
    options: { voters: 3 },
    play: (simulation) => {
      form(simulation);
      const [lost, old] = [followerOf(simulation), leaderOf(simulation)];
      const term = termOf(simulation, old);
      split(simulation, [lost]);
      simulation.run(20_000);
      simulation.network.heal();
      const took = whole(simulation, 'its return', 10_000);
      if (termOf(simulation, old) !== term) throw new Violation('I-28: one that was cut off has raised the term');
      split(simulation, [old]);
      const leads = (): string | undefined => (simulation.view(old)?.role === 'Leader' ? 'it leads' : undefined);
      // E and a heartbeat of its own clock, and the turn in which it notices.
      mustBecome(simulation, 'I-20: a leader without a quorum steps down', leads, 400);
      simulation.network.heal();
      whole(simulation, 'all again', 10_000);
      return took;
    },
  },
  {
    name: 'SH-10: whom gossip alone calls failed keeps its shards, its vote and its leader',
    options: { voters: 3, nonVoters: 1 },
    play: (simulation) => {
      form(simulation);
      simulation.run(2_000);
      const victims = [followerOf(simulation), simulation.machines[3] as Machine];
      const leader = leaderOf(simulation);
      const moves = watch(simulation, ['shardMapChanged', 'configurationChanged', 'leaderChanged']);
      const failures = watch(simulation, ['memberFailed']);
      for (const victim of victims)
        for (const other of simulation.machines) {
          if (other === victim) continue;
          simulation.network.cut(victim.number, other.number, ['gossip']);
          simulation.network.cut(other.number, victim.number, ['gossip']);
        }
      simulation.run(GOSSIP_CUT_MS);
      if (failures.length < 4) throw new Violation('gossip has not noticed that it is cut');
      if (moves.length > 0) throw new Violation(`SH-10: ${moves.join(', ')}`);
      simulation.network.heal();
      if (simulation.leader() !== leader) throw new Violation('SH-10: it does not lead any more');
      return whole(simulation, 'all again', 90_000);
    },
  },
  {
    name: 'G-8: events reach every application at most once through loss, copies and cuts, and nearly always once',
    options: { voters: 3, nonVoters: 1, network: LOSSY },
    play: (simulation) => {
      form(simulation);
      simulation.network.options = simulation.options.network;
      const told = tell(simulation, 200, simulation.now + 15_000);
      simulation.run(8_000);
      split(simulation, [simulation.machines[3] as Machine]);
      simulation.run(2_000);
      simulation.network.heal();
      simulation.run(20_000);
      const expected = told.sent * simulation.machines.length;
      if (deliveriesOf(simulation) < 0.95 * expected)
        throw new Violation(`G-8: ${deliveriesOf(simulation)} of ${expected} events have come`);
      return simulation.now;
    },
  },
  {
    name: 'G-14: a flood of events hides neither a death nor a refutation',
    options: { voters: 3, nonVoters: 1 },
    play: (simulation) => {
      form(simulation);
      const [dies, sleeps] = [simulation.machines[3] as Machine, followerOf(simulation)];
      tell(simulation, 5, simulation.now + 20_000);
      simulation.run(2_000);
      const failures = watch(simulation, ['memberFailed']);
      // Long enough to be suspected, not to be given up.
      sleeps.process?.pause(2_500, 'stopped');
      simulation.run(6_000);
      if (failures.length > 0) throw new Violation(`G-14: ${failures.join(', ')} in a flood`);
      simulation.crash(dies, 'killed');
      const others = simulation.running().length;
      const isKnown = (): string | undefined => (failures.length >= others ? undefined : `${failures.length} know`);
      return mustBecome(simulation, 'G-14: a death becomes known', isKnown, 15_000);
    },
  },
];

function suspicionsOf(simulation: Simulation): number {
  return simulation.processes().reduce((sum, { cluster }) => sum + cluster.stats().swim.suspicions, 0);
}
