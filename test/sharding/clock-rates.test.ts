import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Term } from '../../src/model/ids.ts';
import { ClockRates } from '../../src/sharding/clock-rates.ts';
import { Chance } from '../sim/chance.ts';
import { Rig } from './rig.ts';

const DRIFT = 0.02;
const EVERY_MS = 100;

interface Life {
  readonly forMs: number;
  /** Of the leader's clock beside ours. */
  readonly rate: number;
  readonly term?: number;
  /** There and back together, at most. */
  readonly roundTripMs?: number;
  /** Own milliseconds in which the leader's clock stands still and nothing is heard of it. */
  readonly stillMs?: number;
}

/** Own and leader's time go on from life to life. */
class TwoClocks {
  readonly rates: ClockRates = new ClockRates();
  readonly #chance: Chance = new Chance(1, 'clocks');
  #own = 5_000_000;
  #leader = 77;

  /** After how much of it the verdict changed; undefined when it did not. */
  live({ forMs, rate, term = 1, roundTripMs = 1, stillMs = 0 }: Life): number | undefined {
    this.#own += stillMs;
    const start = this.#own;
    for (; this.#own < start + forMs; this.#own += EVERY_MS, this.#leader += EVERY_MS * rate) {
      const sentAt = this.#own;
      const there = this.#chance.between(0, roundTripMs / 2);
      const receivedAt = sentAt + there + this.#chance.between(0, roundTripMs / 2);
      const grant = { term: term as Term, sentAt, receivedAt, leaderNow: this.#leader + there * rate };
      if (this.rates.onGrant(grant, DRIFT)) return sentAt - start;
    }
    return undefined;
  }
}

describe('sharding: the rates of two clocks', () => {
  for (const rate of [1.083, 0.92]) {
    it(`are found apart within 70 s when the leader's runs at ${rate}, and alike again when it does`, () => {
      const clocks = new TwoClocks();
      const found = clocks.live({ forMs: 300_000, rate }) ?? Number.NaN;
      assert.ok(found > 60_000 && found < 70_000, `${found}`);
      assert.equal(clocks.rates.isApart, true);
      assert.equal(clocks.live({ forMs: 40_000, rate }), undefined, 'told once');
      const over = clocks.live({ forMs: 300_000, rate: 1 }) ?? Number.NaN;
      assert.ok(over < 70_000, `${over}`);
      assert.equal(clocks.rates.isApart, false);
    });
  }

  it('may differ by what the cluster allows each of them, whatever the network does', () => {
    for (const rate of [1.02 / 0.98, 0.98 / 1.02, 1])
      for (const roundTripMs of [1, 20, 800])
        assert.equal(new TwoClocks().live({ forMs: 900_000, rate, roundTripMs }), undefined, `${rate} ${roundTripMs}`);
  });

  it('are seen through a slow network, if it is slow for long enough', () => {
    const found = new TwoClocks().live({ forMs: 900_000, rate: 1.2, roundTripMs: 800 }) ?? Number.NaN;
    assert.ok(found < 130_000, `${found}`);
  });

  it('say nothing of a machine that stood still, nor of another leader', () => {
    const clocks = new TwoClocks();
    for (let i = 0; i < 10; i++) assert.equal(clocks.live({ forMs: 30_000, rate: 1, stillMs: 30_000 }), undefined);
    for (let term = 2; term < 12; term++) assert.equal(clocks.live({ forMs: 30_000, rate: 1.5, term }), undefined);
    assert.equal(clocks.rates.isApart, false);
  });
});

describe('sharding: a holder whose leader counts time by another clock', () => {
  it('lets its lease run out, says so, and serves again when the clocks are alike', () => {
    const rig = new Rig().follow('l');
    let leaderNow = 0;
    const told: unknown[] = [];
    const live = (forMs: number, rate: number): void => {
      for (const end = rig.now + forMs; rig.now < end; ) {
        rig.pass(50);
        leaderNow += 50 * rate;
        for (const renewal of rig.renewals()) {
          rig.grantFor(renewal, leaderNow);
          for (const { event } of rig.of('notify')) if (event.kind === 'clocksApart') told.push(event.isApart);
        }
      }
    };
    live(30_000, 1);
    assert.equal(rig.holdsLease(), true);
    live(130_000, 1.1);
    assert.deepEqual(told, [true]);
    assert.equal(rig.holdsLease(), false);
    live(130_000, 1);
    assert.deepEqual(told, [true, false]);
    assert.equal(rig.holdsLease(), true);
  });
});
