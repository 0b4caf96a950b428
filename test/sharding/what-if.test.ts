/** What a leader answers to those who ask what it would plan, whether its shards are settled, and what it waits for before the first map. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Term } from '../../src/model/ids.ts';
import type { ShardPlanReport, ShardWhatIf } from '../../src/model/shard-plan.ts';
import type { ShardSettings } from '../../src/model/shard-settings.ts';
import { leaderWaitMs, shardingConfig, validateShardingConfig, warnShardingConfig } from '../../src/sharding/config.ts';
import { ClockRates } from '../../src/sharding/clock-rates.ts';
import { Chance } from '../sim/chance.ts';
import { leaderOfTwo, node, ownersOf, Rig } from './rig.ts';

const W = leaderWaitMs(shardingConfig());

function configure(rig: Rig, fields: Partial<ShardSettings>): void {
  const { settings } = rig.machine;
  const { term } = rig;
  rig.apply({ kind: 'shardConfigure', term, expects: settings.version, settings: { ...settings, ...fields } });
  rig.pass(25);
}

function ask(rig: Rig, question: Partial<ShardWhatIf>): ShardPlanReport {
  const answer = rig.machine.whatIf({ without: [], joined: [], change: {}, ...question }, rig.now);
  assert.ok(answer !== undefined && !('problem' in answer), JSON.stringify(answer));
  return answer;
}

function problem(rig: Rig, question: Partial<ShardWhatIf>): string {
  const answer = rig.machine.whatIf({ without: [], joined: [], change: {}, ...question }, rig.now);
  assert.ok(answer !== undefined && 'problem' in answer);
  return answer.problem;
}

function after({ nodes }: ShardPlanReport): string {
  return nodes.map(({ node: name, after: count }) => `${name}${count}`).join(' ');
}

describe('sharding: what would be planned if', () => {
  it('nothing were different: nothing; somebody came, in whatever order; somebody died; both', () => {
    const rig = leaderOfTwo();
    assert.deepEqual([ask(rig, {}).moved, after(ask(rig, {}))], [0, 'a3 b3']);
    const grown = ask(rig, { joined: [node('d'), node('c')] });
    assert.deepEqual([after(grown), grown.moved], ['a2 b2 c1 d1', 2]);
    const dead = ask(rig, { without: [node('b')] });
    assert.equal(after(dead), 'a6 b0');
    assert.deepEqual(
      dead.moves.map(({ reason, count }) => [reason, count]),
      [['death', 3]],
    );
    assert.equal(after(ask(rig, { without: [node('b')], joined: [node('c')] })), 'a3 b0 c3');
    assert.equal(after(ask(rig, { joined: [node('b')] })), 'a3 b3', 'it is here already');
    assert.equal(rig.owners(), 'aaabbb', 'nothing has changed');
  });

  it('a setting were another', () => {
    const rig = leaderOfTwo();
    assert.equal(after(ask(rig, { change: { exclude: [node('b')] } })), 'a6 b0');
    assert.equal(after(ask(rig, { change: { nodeWeights: new Map([[node('a'), 2]]) } })), 'a4 b2');
    assert.match(problem(rig, { change: { replicas: 99 } }), /./);
  });

  it('and why nobody can tell: strangers, nobody left, no plan yet, no leader', () => {
    const rig = leaderOfTwo();
    assert.match(problem(rig, { without: [node('z')] }), /^z has no shards/);
    assert.match(problem(rig, { without: [node('a'), node('b')] }), /nobody/);
    const fresh = new Rig().lead({ isReady: false });
    const question = { without: [], joined: [], change: {} };
    assert.equal(fresh.machine.whatIf(question, fresh.now), undefined);
    assert.equal(new Rig().machine.whatIf(question, 0), undefined);
  });

  it('an owner that drains keeps that reason, and one that is left out of the question does not', () => {
    const rig = leaderOfTwo();
    rig.hear('b', { wantsShards: false });
    const made = ask(rig, { joined: [node('c')] });
    assert.deepEqual(
      made.moves.filter(({ from }) => from === 'b').map(({ reason }) => reason),
      ['drain', 'drain'].slice(0, made.moves.filter(({ from }) => from === 'b').length),
    );
    const dead = ask(rig, { without: [node('b')], joined: [node('c')] });
    assert.ok(dead.moves.filter(({ from }) => from === 'b').every(({ reason }) => reason === 'death'));
  });
});

describe('sharding: whether shards are settled', () => {
  it('they are when the map is the plan and every owner renews, and stay so', () => {
    const rig = leaderOfTwo();
    rig.pass(30);
    assert.equal(rig.machine.unsettled(rig.now), undefined);
    for (let i = 0; i < 20; i++) {
      rig.pass(100).hear('b');
      assert.equal(rig.machine.unsettled(rig.now), undefined);
    }
    rig.pass(shardingConfig().silentAfterMs + 1);
    assert.match(rig.machine.unsettled(rig.now) ?? '', /^node b owns shards and is silent/);
  });

  it('they are not while a map is on its way, and for nobody but a ready leader', () => {
    const rig = leaderOfTwo();
    assert.match(new Rig().machine.unsettled(0) ?? '', /does not lead/);
    assert.match(new Rig().lead().machine.unsettled(1_000) ?? '', /no shard map/);
    rig.hear('c').pass(30);
    assert.equal(ownersOf(rig.unapplied).length, 6);
    assert.match(rig.machine.unsettled(rig.now) ?? '', /shards are moving/);
    rig.applyAppended();
    assert.match(rig.machine.unsettled(rig.now) ?? '', /shards are moving/);
  });
});

describe('sharding: what plans wait for', () => {
  it('the first map waits for all who are expected, and no longer', () => {
    const rig = new Rig({ config: { formationQuietMs: 5_000, formationMaxMs: 9_000 } });
    rig.step({ kind: 'expected', nodes: [node('a'), node('b'), node('c')] }).lead();
    rig.hear('b').pass(50);
    assert.deepEqual(rig.appended(), []);
    rig.hear('c').pass(50);
    assert.equal(ownersOf(rig.unapplied), 'aabbcc');
  });

  it('O-9: nothing is planned while a transfer is under way', () => {
    const rig = leaderOfTwo();
    rig.step({ kind: 'transferring', active: true });
    rig.hear('c').pass(W + 10);
    assert.deepEqual(rig.appended(), []);
    rig.step({ kind: 'transferring', active: false });
    rig.hear('b').hear('c').pass(100);
    assert.equal(rig.appended()[0]?.kind, 'shardPropose');
  });

  it('O-22: newcomers cost so many maps in so much time, with less than one a second as well', () => {
    const mapsIn = (mapsPerSecond: number): number[] => {
      const rig = leaderOfTwo({ mapsPerSecond, silentAfterMs: 600_000, leaseMs: 600_000, formationMaxMs: 60_000 });
      const at: number[] = [];
      const start = rig.now;
      const names = ['c', 'd', 'e'];
      for (let i = 0; i < 80; i++) {
        if (i < names.length) rig.hear(names[i] as string);
        rig.pass(100);
        if (rig.unapplied?.kind === 'shardPropose') {
          at.push(Math.round((rig.now - start) / 1_000));
          rig.applyAppended();
          rig.step({ kind: 'released', version: rig.lastIndex });
        }
        for (const name of ['b', ...names.slice(0, i + 1)]) rig.hear(name, { releasedVersion: rig.lastIndex });
        if (rig.unapplied?.kind === 'shardCommit') rig.applyAppended();
      }
      return at;
    };
    assert.deepEqual(mapsIn(1), [0, 1]);
    assert.deepEqual(mapsIn(0.5), [0, 2]);
  });

  it('a proposal names the standbys that are wanted', () => {
    const rig = leaderOfTwo();
    configure(rig, { replicas: 1 });
    const made = rig.unapplied;
    assert.ok(made?.kind === 'shardPropose');
    assert.deepEqual(
      made.standbys?.map((column) => Array.from(column, (owner) => made.owners[owner]?.node).join('')),
      ['bbbaaa'],
    );
  });
});

describe('sharding: settings and clocks, to their edges', () => {
  const count = (fields: Parameters<typeof shardingConfig>[0]): number =>
    validateShardingConfig(shardingConfig(fields)).length;

  it('the least that is good is good', () => {
    const base = { leaseMs: 900, renewIntervalMs: 300, silentAfterMs: 301 };
    assert.equal(count(base), 0);
    assert.equal(count({ ...base, renewIntervalMs: 301, silentAfterMs: 302 }), 1);
    assert.equal(count({ ...base, silentAfterMs: 300 }), 1);
    assert.deepEqual([count({ ...base, silentAfterMs: 900 }), count({ ...base, silentAfterMs: 901 })], [0, 1]);
    assert.deepEqual([count({ shardCount: 1 }), count({ shardCount: 0 }), count({ shardCount: 2.5 })], [0, 1, 1]);
    assert.deepEqual([count({ clockDrift: 0.2 }), count({ clockDrift: 0.21 })], [0, 1]);
    const formation = { formationMaxMs: 500, formationQuietMs: 500 };
    assert.deepEqual([count(formation), count({ ...formation, formationQuietMs: 501 })], [0, 1]);
  });

  it('the lease that a warning names is one that it does not warn of', () => {
    const [warning = ''] = warnShardingConfig(shardingConfig({ leaseMs: 500 }), 250);
    const enough = Number(/(\d+) ms would cover/.exec(warning)?.[1]);
    const { renewIntervalMs } = shardingConfig({ leaseMs: 500 });
    assert.deepEqual(warnShardingConfig(shardingConfig({ leaseMs: enough, renewIntervalMs }), 250), []);
    assert.equal(warnShardingConfig(shardingConfig({ leaseMs: enough - 1, renewIntervalMs }), 250).length, 1);
  });

  it('of the answers of five seconds the best counts: clocks are found apart through a slow network as well', () => {
    const chance = new Chance(1, 'slow');
    const rates = new ClockRates();
    let changed = 0;
    for (let own = 0; own < 130_000; own += 100) {
      const [there, back] = [chance.between(0, 400), chance.between(0, 400)];
      const grant = { term: 1 as Term, sentAt: own, receivedAt: own + there + back, leaderNow: (own + there) * 1.05 };
      if (rates.onGrant(grant, 0.02)) changed += 1;
    }
    assert.deepEqual([changed, rates.isApart], [1, true]);
  });
});
