/** Gossip alone in virtual time: its promises in histories that seeds draw, and its figures against the formulae of the papers. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { SwimEvent, SwimMember } from '../../../src/swim/messages.ts';
import { GossipCheckers, isConverged, type Watched } from './checkers.ts';
import { runCommandLine } from './main.ts';
import { DETECTORS, form, measureAlarms, measureDeath, measureSlowness, measureSpread } from './measures.ts';
import { runSwarm } from './swarm.ts';
import {
  contactRate,
  expectedDetectionPeriods,
  expectedSpreadMs,
  expectedVerdictMs,
  LAN,
  probeFailureChance,
} from './theory.ts';
import { GossipWorld, type Observation } from './world.ts';

const isLong = process.env['FUNKNODE_LONG'] === '1';
const SWARM = isLong
  ? { seeds: 400, limits: { nodesLeast: 3, nodesMost: 120, lossMost: 0.3 } }
  : { seeds: 10, limits: { nodesLeast: 3, nodesMost: 32, lossMost: 0.3 } };

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function assertWithin(value: number, expected: number, share: number, what: string): void {
  assert.ok(Math.abs(value / expected - 1) <= share, `${what}: ${value.toFixed(3)}, expected ${expected.toFixed(3)}`);
}

describe('simulated gossip: histories', () => {
  it('are the same from the same seed, byte for byte, and others from others', () => {
    const limits = { nodesLeast: 8, nodesMost: 20, lossMost: 0.3 };
    const hashes = [1, 2, 3].map((seed) => runSwarm(seed, limits).hash);
    assert.deepEqual(
      [1, 2, 3].map((seed) => runSwarm(seed, limits).hash),
      hashes,
    );
    assert.equal(new Set(hashes).size, 3);
  });

  it(`of ${SWARM.seeds} seeds raise nobody from the dead, never fall back, keep their limits, and heal (G-1 to G-4, G-10)`, (t) => {
    const failures: string[] = [];
    const healed: number[] = [];
    const agreed: number[] = [];
    let returns = 0;
    let forgottenReturns = 0;
    let minutes = 0;
    for (let seed = 1; seed <= SWARM.seeds; seed++) {
      try {
        const report = runSwarm(seed, SWARM.limits);
        healed.push(report.healedMs);
        agreed.push(report.agreedMs);
        returns += report.returns;
        forgottenReturns += report.forgottenReturns;
        minutes += report.simulatedMs / 60_000;
      } catch (error) {
        failures.push(`seed ${seed}: ${(error as Error).message}`);
      }
    }
    healed.sort((a, b) => a - b);
    agreed.sort((a, b) => a - b);
    const middle = healed.length >> 1;
    t.diagnostic(
      `${minutes.toFixed(0)} simulated minutes; ${returns} returns by own incarnation, ${forgottenReturns} of members long forgotten`,
    );
    t.diagnostic(`same members for all after ${healed[middle]} ms (median), ${healed.at(-1)} ms (most)`);
    t.diagnostic(`same incarnations for all after ${agreed[middle]} ms (median), ${agreed.at(-1)} ms (most)`);
    assert.deepEqual(failures, []);
  });
});

describe('the checkers of simulated gossip', () => {
  const { swim } = new GossipWorld({ seed: 1 }).start(1);
  const member = (state: SwimMember['state'], incarnation: number): SwimMember => ({
    ...swim.self,
    name: 'n2',
    state,
    incarnation,
  });

  /** Shows the checkers these events, as seen by one node about n2, which had incarnations up to 5 itself. */
  function show(...events: readonly SwimEvent[]): void {
    let tell: (seen: Observation) => void = () => undefined;
    const world = new GossipWorld({ seed: 1 });
    const [observer, subject] = [world.start(1), world.start(2)];
    const watched: Watched = {
      nodes: world.nodes,
      watch: (watcher) => {
        tell = watcher;
        return () => true;
      },
    };
    assert.ok(new GossipCheckers(watched) instanceof GossipCheckers);
    tell({ at: 0, observer: subject, event: { kind: 'refuted', incarnation: 5 } });
    for (const event of events) tell({ at: 1, observer, event });
  }

  it('accept a death and a return under a higher incarnation of its own', () => {
    show(
      { kind: 'memberJoined', member: member('alive', 3) },
      { kind: 'memberLeft', member: member('dead', 3) },
      { kind: 'memberJoined', member: member('alive', 4) },
    );
  });

  it('catch a resurrection without refutation, an incarnation that falls, and one that nobody gave itself', () => {
    const dead: SwimEvent = { kind: 'memberLeft', member: member('dead', 3) };
    const joined: SwimEvent = { kind: 'memberJoined', member: member('alive', 3) };
    assert.throws(() => show(joined, dead, joined), /without a refutation/);
    assert.throws(() => show({ kind: 'memberUpdated', member: member('alive', 4) }, dead), /back to 3/);
    assert.throws(() => show({ kind: 'memberJoined', member: member('alive', 6) }), /never was above 5/);
  });
});

describe('simulated gossip: figures', () => {
  const NODES = 48;

  it('a change reaches all as fast as an epidemic of that contact rate, give or take a tenth', (t) => {
    for (const loss of [0, 0.3]) {
      const times: number[] = [];
      for (const seed of [1]) {
        const formed = form(NODES, { seed, loss });
        for (let i = 0; i < 16; i++) {
          times.push(measureSpread(formed, i).times[Math.floor(NODES * 0.9) - 1] as number);
          formed.world.run(3_000);
        }
      }
      const expected = expectedSpreadMs(contactRate(LAN, loss), NODES, Math.floor(NODES * 0.9) + 1);
      t.diagnostic(
        `90 % of ${NODES} at ${loss * 100} % loss: ${mean(times).toFixed(0)} ms, theory ${expected.toFixed(0)} ms`,
      );
      assertWithin(mean(times), expected, 0.15, 'time until nine of ten know');
    }
  });

  it('a death is probed, suspected and judged when SWIM and Lifeguard say', (t) => {
    const formed = form(NODES, { seed: 5 });
    const deaths = Array.from({ length: 24 }, (_, i) => measureDeath(formed, i));
    const periods = mean(deaths.map(({ probedMs }) => Math.ceil(probedMs / LAN.probeIntervalMs)));
    const verdict = mean(deaths.map(({ firstMs }) => firstMs));
    const expected = expectedVerdictMs(LAN, NODES);
    t.diagnostic(`first probed in period ${periods.toFixed(2)} (SWIM: ${expectedDetectionPeriods(NODES).toFixed(2)})`);
    t.diagnostic(`first verdict after ${verdict.toFixed(0)} ms (theory ${expected.toFixed(0)} ms)`);
    // The mean of 24 draws of a geometric law spreads by a fifth of a period.
    assertWithin(periods, expectedDetectionPeriods(NODES), 0.3, 'periods until a probe hits the dead');
    assertWithin(verdict, expected, 0.1, 'time until the first verdict');
    for (const { suspectedMs, probedMs, firstMs, allMs } of deaths) {
      assert.ok(suspectedMs >= probedMs && firstMs > suspectedMs && allMs >= firstMs);
      assert.ok(allMs - firstMs < 2_000, 'the verdict is all over the cluster soon');
    }
  });

  it('probes of the living fail as often as the paper reckons, and nobody dies of it', (t) => {
    const formed = form(NODES, { seed: 9, loss: 0.3, settings: { tcpPing: false, awarenessMaxMultiplier: 1 } });
    const alarms = measureAlarms(formed, 60);
    const share = alarms.probesFailed / alarms.probes;
    const expected = probeFailureChance(0.3, LAN.indirectChecks);
    t.diagnostic(
      `${(share * 100).toFixed(1)} % of probes failed at 30 % loss, SWIM §3.1: ${(expected * 100).toFixed(1)} %`,
    );
    assertWithin(share, expected, 0.1, 'share of failed probes');
    const lossy = measureAlarms(form(NODES, { seed: 9, loss: 0.25 }), 60);
    t.diagnostic(
      `at 25 % loss ${lossy.suspicions} suspicions and ${lossy.deaths} deaths in ${lossy.nodeHours.toFixed(1)} node-hours`,
    );
    assert.equal(lossy.deaths, 0);
  });

  it('slow members get healthy ones killed under plain SWIM, and not under Lifeguard', (t) => {
    const slowness = { count: 32, slow: 6, slowMs: 16_000, wellMs: 1_000, seconds: 80, how: 'clogged' } as const;
    const swim = measureSlowness({ seed: 3, settings: DETECTORS.swim }, slowness);
    const lifeguard = measureSlowness({ seed: 3, settings: DETECTORS.lifeguard }, slowness);
    t.diagnostic(
      `false deaths in ${swim.nodeHours.toFixed(1)} node-hours: SWIM ${swim.deaths}, with Lifeguard ${lifeguard.deaths}`,
    );
    assert.ok(swim.deaths > 10);
    assert.ok(lifeguard.deaths * 20 <= swim.deaths);
  });

  it('members that stand still accuse nobody when they wake', () => {
    const slowness = { count: 32, slow: 6, slowMs: 3_000, wellMs: 1_000, seconds: 60, how: 'paused' } as const;
    assert.equal(measureSlowness({ seed: 4 }, slowness).suspicions, 0);
  });

  it('come as tables and plots from a command line', () => {
    const lines: string[] = [];
    const folder = mkdtempSync(join(tmpdir(), 'funknode-gossip-'));
    const words = '--nodes 6,8 --loss 0,0.1 --seeds 1 --spreads 2 --deaths 1 --seconds 5 --plots';
    runCommandLine([...words.split(' '), folder], (text) => lines.push(text));
    assert.match(lines.join('\n'), /\| 8 \| 10 % \| 2 \|/);
    const drawn = readdirSync(folder).sort();
    assert.deepEqual(drawn, ['gossip-death-size.svg', 'gossip-spread-size.svg', 'gossip-spread.svg']);
    for (const name of drawn) assert.doesNotMatch(readFileSync(join(folder, name), 'utf8'), /NaN|undefined|Infinity/);
    rmSync(folder, { recursive: true });
    assert.throws(() => runCommandLine(['--loss', '2'], () => undefined), /--loss takes numbers from 0 to 0.5/);
  });

  it('100 members find each other by one address, and agree', (t) => {
    const { world, formedMs } = form(100, { seed: 1 });
    t.diagnostic(`all saw all ${formedMs} ms after the last start`);
    assert.ok(isConverged(world));
  });
});
