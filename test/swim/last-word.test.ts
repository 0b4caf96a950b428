/** A suspicion does not end in a verdict before the accused was asked directly: the refutation may have passed us by. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { suspicionMinMs } from '../../src/swim/suspicion.ts';
import { alive, Bench, suspect } from './harness.ts';
import { Network } from './network.ts';

const MEMBERS = 20;

/** When and in which incarnation n2 was accused to its face, without a ping, in the next `ms`. */
function lastWords(bench: Bench, ms: number): number[] {
  const at: number[] = [];
  for (let passed = 0; passed < ms; passed += 50) {
    bench.forget();
    bench.advance(50);
    for (const { to, messages } of bench.sent()) {
      const isAlone = messages.length === 1 && messages[0]?.kind === 'suspect' && messages[0].node === 'n2';
      if (isAlone && to === '10.0.0.2') at.push(bench.now);
    }
  }
  return at;
}

describe('a suspect', () => {
  it('is told of it six times before the verdict, a gossip interval apart, and not once more', () => {
    const bench = new Bench({ probeIntervalMs: 600_000, suspicionMult: 2 }).withMembers(MEMBERS);
    bench.hear(suspect(2, 1, 'n3'));
    // With so small a multiplier nobody is asked to confirm it. The news of it has long been gossiped when its time is up.
    const spanMs = suspicionMinMs({ suspicionMult: 2, suspicionMaxTimeoutMult: 1, probeIntervalMs: 600_000 }, MEMBERS);
    bench.advance(spanMs - 5_000);
    const at = lastWords(bench, 4_950);
    assert.equal(bench.stateOf(2), 'suspect@1');
    assert.equal(at.length, 6);
    assert.ok(at.every((ms, i) => i === 0 || Math.abs(ms - (at[i - 1] as number) - 200) <= 50));
    bench.advance(2_000);
    assert.equal(bench.stateOf(2), 'dead@1');
  });

  it('that has refuted is left alone', () => {
    const bench = new Bench({ probeIntervalMs: 10_000 }).withMembers(MEMBERS);
    bench.hear(suspect(2, 1, 'n3'));
    bench.hear(alive(2, 2));
    bench.advance(5_000);
    assert.deepEqual(lastWords(bench, 300_000), []);
  });

  it('whose refutation one member missed tells that one, before it is declared dead', () => {
    // No push/pull, and probes so rare that none falls into the suspicion.
    const settings = { pushPullIntervalMs: 0, probeIntervalMs: 60_000, suspicionMult: 2, suspicionMaxTimeoutMult: 1 };
    const network = new Network({ seed: 77, settings: { ...settings, gossipToTheDeadMs: 600_000 } });
    network.grow(6);
    const n1 = network.nodes[0];
    assert.ok(n1 !== undefined);
    for (const node of network.nodes.slice(1)) network.join(node, n1.endpoint);
    network.run(5_000);
    assert.ok(network.isAllAlive(6));
    // n3 is accused in n1's eyes alone; all others hold the incarnation with which it answered an accusation before.
    network.partition((node) => (node === n1 ? 1 : 2));
    const n3 = network.nodes[2];
    assert.ok(n3 !== undefined);
    network.setMeta(n3, Uint8Array.of(99));
    network.run(5_000);
    network.hint(n1, 'n3');
    assert.equal(n1.swim.member('n3')?.state, 'suspect');
    network.run(20_000);
    network.heal();
    network.run(150_000);
    assert.deepEqual(network.falseDeaths(), []);
    assert.equal(n1.swim.member('n3')?.incarnation, 2);
  });

  it('whom a late confirmation would kill at once has its last word first', () => {
    const bench = new Bench({ probeIntervalMs: 100_000, probeTimeoutMs: 100 }).withMembers(8);
    bench.hear(suspect(2, 1, 'n3'));
    bench.advance(1_000_000);
    bench.hear(suspect(2, 1, 'n4'), suspect(2, 1, 'n5'));
    // The minimum of 400 s has been over for long.
    const at = lastWords(bench, 1_000);
    assert.ok(at.length >= 6, 'and gossip of the confirmation may come its way, too');
    assert.equal(bench.stateOf(2), 'suspect@1');
    bench.hear(alive(2, 2));
    bench.advance(5_000);
    assert.equal(bench.stateOf(2), 'alive@2');
  });
});
