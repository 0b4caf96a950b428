import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Awareness } from '../../src/swim/awareness.ts';
import { BroadcastQueue, retransmitLimit } from '../../src/swim/broadcast-queue.ts';
import { SWIM_TIMING, swimConfig, validateSwimConfig } from '../../src/swim/config.ts';
import { pushPullIntervalMs } from '../../src/swim/push-pull.ts';
import { Suspicion, suspicionMinMs, suspicionSpan, suspicionTimeoutMs } from '../../src/swim/suspicion.ts';
import { crc32 } from '../../src/wire/memberlist/crc32.ts';
import { fromHex, tellVectors, vectors } from '../vectors.ts';
import { endpoint } from './harness.ts';

const NS = 1_000_000;

interface Formulas {
  readonly crc32_ieee: readonly { readonly crc_hex: string; readonly data_hex: string }[];
  readonly push_pull_interval: readonly { readonly n: number; readonly lan_30s_ns: number }[];
  readonly retransmit_limit: readonly { readonly n: number; readonly mult2: number; readonly mult4: number }[];
  readonly suspicion_timeout: readonly {
    readonly n: number;
    readonly lan_mult4_1s_ns: number;
    readonly local_mult3_1s_ns: number;
    readonly wan_mult6_5s_ns: number;
  }[];
  readonly remaining_suspicion: readonly {
    readonly elapsed_ns: number;
    readonly k: number;
    readonly max_ns: number;
    readonly min_ns: number;
    readonly n: number;
    readonly remaining_ns: number;
  }[];
}

const formulas = vectors<Formulas>('formulas.json');

describe('formulas agree with memberlist', () => {
  it('in every row of its table', (t) => {
    const tables = [formulas.crc32_ieee, formulas.push_pull_interval, formulas.retransmit_limit];
    const rows = [...tables, formulas.suspicion_timeout, formulas.remaining_suspicion].map(({ length }) => length);
    assert.ok(rows.every((length) => length > 0));
    const sum = rows.reduce((all, length) => all + length, 0);
    tellVectors(t, 'formulas', `${sum} values the same, and the coordinates of Vivaldi to the last bit`);
  });

  it('for the checksum', () => {
    for (const { crc_hex, data_hex } of formulas.crc32_ieee) {
      assert.equal(crc32(fromHex(data_hex)).toString(16), crc_hex);
    }
  });

  it('for the push/pull interval', () => {
    for (const { n, lan_30s_ns: ns } of formulas.push_pull_interval) {
      assert.equal(pushPullIntervalMs(30_000, n) * NS, ns, `n=${n}`);
    }
  });

  it('for the retransmit limit', () => {
    for (const { n, mult2, mult4 } of formulas.retransmit_limit) {
      assert.equal(retransmitLimit(2, n), mult2, `n=${n}`);
      assert.equal(retransmitLimit(4, n), mult4, `n=${n}`);
    }
  });

  it('for the minimum of a suspicion', () => {
    for (const { n, ...times } of formulas.suspicion_timeout) {
      assert.equal(suspicionMinMs(SWIM_TIMING.lan, n) * NS, times.lan_mult4_1s_ns, `lan n=${n}`);
      assert.equal(suspicionMinMs(SWIM_TIMING.local, n) * NS, times.local_mult3_1s_ns, `local n=${n}`);
      assert.equal(suspicionMinMs(SWIM_TIMING.wan, n) * NS, times.wan_mult6_5s_ns, `wan n=${n}`);
    }
  });

  it('for what is left of a suspicion after confirmations', () => {
    for (const one of formulas.remaining_suspicion) {
      const span = { confirmationsWanted: one.k, minMs: one.min_ns / NS, maxMs: one.max_ns / NS };
      assert.equal(suspicionTimeoutMs(span, one.n) - one.elapsed_ns / NS, one.remaining_ns / NS, JSON.stringify(one));
    }
  });
});

describe('a suspicion timer', () => {
  it('wants no confirmations where too few others could give them', () => {
    assert.equal(suspicionSpan(SWIM_TIMING.lan, 3).confirmationsWanted, 0);
    assert.equal(suspicionSpan(SWIM_TIMING.lan, 4).confirmationsWanted, 2);
  });

  it('counts each accuser once and the first never', () => {
    const suspicion = new Suspicion('a', { confirmationsWanted: 2, minMs: 4_000, maxMs: 24_000 }, 0);
    assert.equal(suspicion.deadline, 24_000);
    assert.equal(suspicion.confirm('a'), false);
    assert.equal(suspicion.confirm('b'), true);
    assert.equal(suspicion.confirm('b'), false);
    assert.ok(suspicion.deadline < 24_000 && suspicion.deadline > 4_000);
    assert.equal(suspicion.confirm('c'), true);
    assert.equal(suspicion.deadline, 4_000);
    assert.equal(suspicion.confirm('d'), false, 'enough is enough');
  });
});

describe('local health', () => {
  it('stays between 0 and its maximum and scales durations', () => {
    const awareness = new Awareness(8);
    awareness.apply(-1);
    assert.equal(awareness.score, 0);
    awareness.apply(100);
    assert.equal(awareness.score, 7);
    assert.equal(awareness.scale(1_000), 8_000);
  });
});

describe('the broadcast queue (10.1)', () => {
  const message = (size: number, fill: number): Uint8Array => new Uint8Array(size).fill(fill);
  const limits = { retransmitMult: 2, entriesMax: 100 };

  it('gives the least transmitted first, then the longest that fits, then the newest', () => {
    const queue = new BroadcastQueue(limits);
    queue.add(message(10, 1));
    queue.add(message(30, 2));
    queue.add(message(30, 3));
    assert.deepEqual(
      queue.take(2, 64, 1).map((bytes) => bytes[0]),
      [3, 2],
    );
    assert.deepEqual(
      queue.take(2, 45, 1).map((bytes) => bytes[0]),
      [1, 3],
      'the untold one comes first',
    );
    queue.check();
  });

  it('sends each message so often as the cluster needs, and says when it is done', () => {
    const queue = new BroadcastQueue({ retransmitMult: 4, entriesMax: 10 });
    const done: boolean[] = [];
    queue.add(message(5, 1), { onFinished: (complete) => done.push(complete) });
    for (let i = 0; i < 8; i++) assert.equal(queue.take(2, 100, 10).length, 1);
    assert.deepEqual(done, [true]);
    assert.equal(queue.take(2, 100, 10).length, 0);
  });

  it('replaces an entry of the same name, and only that', () => {
    const queue = new BroadcastQueue(limits);
    const ended: string[] = [];
    queue.add(message(5, 1), { name: 'n2', onFinished: (complete) => ended.push(`first ${complete}`) });
    queue.add(message(5, 2), { name: 'n3' });
    queue.add(message(5, 3), { name: 'n2' });
    assert.deepEqual(ended, ['first false']);
    assert.deepEqual(
      queue.take(0, 100, 1).map((bytes) => bytes[0]),
      [3, 2],
    );
    queue.check();
  });

  it('keeps its limit by dropping what was told most', () => {
    const queue = new BroadcastQueue({ retransmitMult: 4, entriesMax: 2 });
    queue.add(message(5, 1));
    queue.take(0, 5, 10);
    queue.add(message(5, 2));
    queue.add(message(5, 3));
    assert.equal(queue.size, 2);
    assert.equal(queue.pruned, 1);
    assert.deepEqual(
      queue.take(0, 100, 10).map((bytes) => bytes[0]),
      [3, 2],
    );
  });

  it('lets a callback add again', () => {
    const queue = new BroadcastQueue({ retransmitMult: 1, entriesMax: 10 });
    queue.add(message(5, 1), { name: 'a', onFinished: () => queue.add(message(5, 2), { name: 'a' }) });
    queue.take(0, 100, 1);
    queue.check();
    assert.equal(queue.size, 1);
  });

  it('gives what memberlist’s walk over tiers would give, whatever was added and taken', () => {
    interface Model {
      readonly size: number;
      readonly id: number;
      transmits: number;
    }
    /** The walk as wire-gossip 10.1 writes it down, on a plain list. */
    const walk = (model: Model[], overhead: number, limit: number, txMax: number): number[] => {
      const out: Model[] = [];
      let used = 0;
      const tiers = [...new Set(model.map(({ transmits }) => transmits))].sort((a, b) => a - b);
      for (const tier of tiers) {
        for (;;) {
          const free = limit - used - overhead;
          if (free <= 0) break;
          const fits = model.filter((one) => one.transmits === tier && one.size <= free && !out.includes(one));
          fits.sort((a, b) => b.size - a.size || b.id - a.id);
          const best = fits[0];
          if (best === undefined) break;
          out.push(best);
          used += overhead + best.size;
        }
      }
      for (const one of out) {
        one.transmits += 1;
        if (one.transmits >= txMax) model.splice(model.indexOf(one), 1);
      }
      return out.map(({ id }) => id);
    };
    const action = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: -120, max: -1 }));
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const queue = new BroadcastQueue({ retransmitMult: 3, entriesMax: 1_000 });
        const model: Model[] = [];
        const ids = new Map<Uint8Array, number>();
        for (const [id, one] of actions.entries()) {
          if (one > 0) {
            const bytes = new Uint8Array(one);
            ids.set(bytes, id);
            queue.add(bytes);
            model.push({ size: one, id, transmits: 0 });
          } else {
            const taken = queue.take(2, -one, 5).map((bytes) => ids.get(bytes));
            assert.deepEqual(taken, walk(model, 2, -one, 3));
          }
          queue.check();
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the configuration', () => {
  it('has memberlist’s profiles, all of them valid', () => {
    for (const profile of ['lan', 'wan', 'local'] as const) {
      assert.deepEqual(validateSwimConfig(swimConfig({ name: 'a', advertise: endpoint(1) }, profile)), []);
    }
  });

  it('reports every problem at once', () => {
    const problems = validateSwimConfig(
      swimConfig({ name: '', advertise: { host: 'localhost', port: 0 }, gossipNodes: 0, probeTimeoutMs: 1_000 }),
    );
    assert.equal(problems.length, 5);
  });
});
