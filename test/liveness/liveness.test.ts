import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SeededRandom, randomBelow } from '../../src/base/random.ts';
import { DEFAULT_LIVENESS_CONFIG, validateLivenessConfig, type LivenessConfig } from '../../src/liveness/config.ts';
import { echoOf, Liveness } from '../../src/liveness/liveness.ts';
import type { LivenessEffect, LivenessEvent } from '../../src/liveness/messages.ts';
import { formatEndpoint, type Endpoint } from '../../src/model/endpoint.ts';

const SECRET: Uint8Array = new Uint8Array(32).fill(7);
const PEER: Endpoint = { host: '10.0.0.2', port: 7949 };
const STRANGER: Endpoint = { host: '10.9.9.9', port: 4242 };

/** Drives a core on invented time; `answer` is the network and the peer behind it. */
class Bench {
  readonly core: Liveness;
  now = 1_000;
  readonly events: { readonly at: number; readonly event: LivenessEvent }[] = [];
  readonly sent: { readonly at: number; readonly to: Endpoint; readonly bytes: Uint8Array }[] = [];
  /** What comes back of a question, and after how long; undefined is silence. */
  answer: (to: Endpoint, bytes: Uint8Array) => { readonly bytes: Uint8Array; readonly afterMs: number } | undefined;
  #flying: { readonly at: number; readonly from: Endpoint; readonly bytes: Uint8Array }[] = [];

  constructor(answer: Bench['answer'] = () => undefined, config: Partial<LivenessConfig> = {}) {
    this.core = new Liveness({ ...DEFAULT_LIVENESS_CONFIG, ...config }, SECRET);
    this.answer = answer;
  }

  watch(id = 'n2', endpoint = PEER): void {
    this.#perform((effects) => this.core.step({ kind: 'watch', id, endpoint }, this.now, effects));
  }

  unwatch(id = 'n2'): void {
    this.#perform((effects) => this.core.step({ kind: 'unwatch', id }, this.now, effects));
  }

  /** It speaks by another way every 50 ms, as a Raft leader does. */
  runWhileHeard(ms: number, id = 'n2'): void {
    for (let left = ms; left > 0; left -= 50) {
      this.run(Math.min(50, left));
      this.#perform((effects) => this.core.step({ kind: 'heard', id }, this.now, effects));
    }
  }

  receive(from: Endpoint, bytes: Uint8Array): void {
    this.#perform((effects) => this.core.step({ kind: 'datagram', from, bytes }, this.now, effects));
  }

  /** Lets time pass; every deadline and arrival is handled at its instant. */
  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const arrival = Math.min(...this.#flying.map((packet) => packet.at), Number.POSITIVE_INFINITY);
      const next = Math.min(this.core.nextDeadline(), arrival);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (arrival <= this.now) this.#deliver();
      else this.#perform((effects) => this.core.tick(this.now, effects));
    }
    this.now = end;
  }

  /** The process stands still: packets pile up in the socket, and the timer is the first to run afterwards. */
  pause(ms: number): void {
    this.now += ms;
    this.#perform((effects) => this.core.tick(this.now, effects));
  }

  kinds(): string[] {
    return this.events.map(({ event }) => event.kind);
  }

  #deliver(): void {
    const due = this.#flying.filter((packet) => packet.at <= this.now).sort((a, b) => a.at - b.at);
    this.#flying = this.#flying.filter((packet) => packet.at > this.now);
    for (const packet of due) this.receive(packet.from, packet.bytes);
  }

  #perform(act: (effects: LivenessEffect[]) => void): void {
    const effects: LivenessEffect[] = [];
    act(effects);
    this.core.check();
    for (const effect of effects) {
      if (effect.kind === 'notify') {
        this.events.push({ at: this.now, event: effect.event });
        continue;
      }
      this.sent.push({ at: this.now, to: effect.to, bytes: effect.bytes });
      const answer = this.answer(effect.to, effect.bytes);
      if (answer !== undefined) {
        this.#flying.push({ at: this.now + answer.afterMs, from: effect.to, bytes: answer.bytes });
      }
    }
  }
}

function funknode(afterMs = 1): Bench['answer'] {
  return (_, bytes) => {
    const echo = echoOf(bytes);
    return echo === undefined ? undefined : { bytes: echo, afterMs };
  };
}

/** clusterfunk reads two bytes of whatever comes, and sends them back. */
function clusterfunk(afterMs = 1): Bench['answer'] {
  return (_, bytes) => ({ bytes: bytes.slice(0, 2), afterMs });
}

describe('liveness: who answers lives', () => {
  for (const [name, peer] of [
    ['a funknode', funknode()],
    ['a clusterfunk, which echoes two bytes of any packet,', clusterfunk()],
    ['a peer further away than the interval', funknode(400)],
    ['a clusterfunk further away than the interval', clusterfunk(400)],
  ] as const) {
    it(`${name} is asked every interval and nothing is said of it`, () => {
      const bench = new Bench(peer);
      bench.watch();
      bench.run(30_000);
      assert.deepEqual(bench.events, []);
      assert.equal(bench.core.isAlive('n2'), true);
      assert.equal(bench.core.stats.dropped, 0);
      assert.ok(bench.sent.length >= 190 && bench.sent.length <= 220, `${bench.sent.length} questions in 30 s`);
      assert.ok(bench.core.stats.echoesReceived >= bench.sent.length - 7);
    });
  }

  it('a peer killed after long good health is dead within 600 ms', () => {
    for (let offset = 0; offset < 150; offset += 7) {
      const bench = new Bench(funknode());
      bench.watch();
      bench.run(20_000 + offset);
      const killedAt = bench.now;
      bench.answer = () => undefined;
      bench.run(1_000);
      assert.deepEqual(bench.kinds(), ['dead']);
      const took = (bench.events[0]?.at ?? Number.NaN) - killedAt;
      assert.ok(took <= 600, `${took} ms`);
      assert.equal(bench.core.stats.alive, 0);
      assert.equal(bench.core.stats.deaths, 1);
    }
  });

  it('a peer that is heard otherwise is asked once a second, and dead within 700 ms of falling silent', () => {
    for (let offset = 0; offset < 1_000; offset += 37) {
      const bench = new Bench(funknode());
      bench.watch();
      bench.run(2_000);
      const asked = bench.sent.length;
      bench.runWhileHeard(20_000 + offset);
      assert.ok(bench.sent.length - asked <= 22, `${bench.sent.length - asked} questions in ${20_000 + offset} ms`);
      assert.ok(bench.sent.length - asked >= 19, 'this way too must be known to work');
      const silentAt = bench.now;
      bench.answer = () => undefined;
      bench.run(1_500);
      assert.deepEqual(bench.kinds(), ['dead']);
      const took = (bench.events[0]?.at ?? Number.NaN) - silentAt;
      assert.ok(took <= 700, `${took} ms`);
    }
  });

  it('a peer that does not echo is dead, heard or not', () => {
    const bench = new Bench(funknode());
    bench.watch();
    bench.run(2_000);
    bench.answer = () => undefined;
    bench.runWhileHeard(2_000);
    assert.deepEqual(bench.kinds(), ['dead']);
  });

  it('a peer that never answered is dead after retries intervals', () => {
    const bench = new Bench();
    bench.watch();
    bench.run(500);
    assert.deepEqual(bench.kinds(), ['dead']);
  });

  it('a dead peer is asked once a second, and is alive soon after it answers again', () => {
    const bench = new Bench();
    bench.watch();
    bench.run(1_000);
    const asked = bench.sent.length;
    bench.run(10_000);
    assert.ok(bench.sent.length - asked <= 11, `${bench.sent.length - asked} questions in 10 s`);
    bench.answer = funknode();
    bench.run(1_000 + 2 * 150 + 5);
    assert.deepEqual(bench.kinds(), ['dead', 'alive']);
    assert.equal(bench.core.isAlive('n2'), true);
  });

  it('one loss in ten, both ways counted, kills nobody in an hour; one in four does so a dozen times at most', () => {
    const deaths = (oneIn: number): number => {
      const random = new SeededRandom(11);
      const bench = new Bench((to, bytes) => (randomBelow(random, oneIn) === 0 ? undefined : funknode()(to, bytes)));
      bench.watch();
      bench.run(3_600_000);
      return bench.core.stats.deaths;
    };
    assert.equal(deaths(10), 0);
    assert.ok(deaths(4) <= 12, `${deaths(4)} deaths`);
  });

  it('a peer that moves keeps its verdict and is asked at its new address only', () => {
    const bench = new Bench((to, bytes) => (to.port === 1 ? undefined : funknode()(to, bytes)));
    bench.watch('n2', { host: '10.0.0.2', port: 1 });
    bench.run(800);
    bench.watch('n2', { host: '10.0.0.2', port: 2 });
    const moved = bench.sent.length;
    bench.run(2_000);
    assert.deepEqual(bench.kinds(), ['dead', 'alive']);
    assert.ok(bench.sent.slice(moved).every(({ to }) => to.port === 2));
  });

  it('nobody is asked, and nothing wakes the core, after unwatch', () => {
    const bench = new Bench(funknode());
    bench.watch();
    bench.run(500);
    bench.unwatch();
    const asked = bench.sent.length;
    bench.run(5_000);
    assert.equal(bench.sent.length, asked);
    assert.equal(bench.core.nextDeadline(), Number.POSITIVE_INFINITY);
    assert.equal(bench.core.isAlive('n2'), undefined);
  });

  it('ids are told as they were given, two of them at one address too', () => {
    const bench = new Bench();
    bench.watch('a node / with spaces');
    bench.watch('another');
    bench.run(800);
    assert.deepEqual(bench.events.map(({ event }) => (event.kind === 'dropped' ? '' : event.id)).sort(), [
      'a node / with spaces',
      'another',
    ]);
  });
});

describe('liveness: a pause of our own process', () => {
  it('kills nobody, however long, when the echoes wait in the socket', () => {
    for (const pauseMs of [160, 400, 3_000, 60_000]) {
      const bench = new Bench(funknode());
      for (let i = 0; i < 50; i++) bench.watch(`n${i}`, { host: '10.0.0.2', port: 5_000 + i });
      bench.run(10_000);
      bench.pause(pauseMs);
      bench.run(5_000);
      assert.deepEqual(bench.events, [], `after ${pauseMs} ms`);
    }
  });

  it('kills nobody when it comes again and again', () => {
    const bench = new Bench(funknode());
    bench.watch();
    bench.run(5_000);
    for (let i = 0; i < 30; i++) {
      bench.pause(500);
      bench.run(20);
    }
    assert.deepEqual(bench.events, []);
  });

  it('does not save a peer that is dead afterwards', () => {
    const bench = new Bench(funknode());
    bench.watch();
    bench.run(10_000);
    bench.answer = () => undefined;
    bench.pause(3_000);
    bench.run(1_000);
    assert.deepEqual(bench.kinds(), ['dead']);
  });
});

describe('liveness: forged and foreign packets', () => {
  it('an echo counts only from the watched address', () => {
    const bench = new Bench();
    bench.watch();
    for (let i = 0; i < 20; i++) {
      bench.run(50);
      const asked = bench.sent.at(-1);
      if (asked === undefined) continue;
      const echo = echoOf(asked.bytes);
      assert.ok(echo !== undefined);
      bench.receive(STRANGER, echo);
      bench.receive({ host: PEER.host, port: PEER.port + 1 }, echo);
    }
    assert.equal(bench.core.isAlive('n2'), false);
    assert.equal(bench.core.stats.echoesReceived, 0);
  });

  it('a guessed echo in the name of the peer counts for nothing', () => {
    const bench = new Bench();
    const random = new SeededRandom(3);
    bench.watch();
    for (let i = 0; i < 2_000; i++) {
      bench.run(1);
      const guess = Uint8Array.from({ length: 16 }, () => randomBelow(random, 256));
      guess.set([0xf1, 0x21], 2);
      bench.receive(PEER, guess);
    }
    assert.equal(bench.core.isAlive('n2'), false);
    assert.equal(bench.core.stats.dropped, 2_000);
  });

  it('one echo counts once', () => {
    const bench = new Bench();
    bench.watch();
    bench.run(1);
    const echo = echoOf(bench.sent[0]?.bytes ?? new Uint8Array());
    assert.ok(echo !== undefined);
    for (let i = 0; i < 10; i++) bench.receive(PEER, echo);
    assert.equal(bench.core.stats.echoesReceived, 1);
    bench.run(900);
    assert.equal(bench.core.isAlive('n2'), false);
  });

  it('two bytes are enough from a clusterfunk, and never again from a peer that echoed the whole question', () => {
    const bench = new Bench(funknode());
    bench.watch();
    bench.run(1_000);
    bench.answer = clusterfunk();
    bench.run(1_000);
    assert.equal(bench.core.isAlive('n2'), false);
  });

  it('the questions to one peer say nothing of those to another', () => {
    const bench = new Bench(funknode());
    bench.watch('n2', { host: '10.0.0.2', port: 1 });
    bench.watch('n3', { host: '10.0.0.3', port: 1 });
    bench.run(60_000);
    const questions = new Set(bench.sent.map(({ bytes }) => Buffer.from(bytes).toString('hex')));
    assert.equal(questions.size, bench.sent.length);
    const other = new Liveness(DEFAULT_LIVENESS_CONFIG, new Uint8Array(32).fill(8));
    const effects: LivenessEffect[] = [];
    other.step({ kind: 'watch', id: 'n2', endpoint: PEER }, 1_000, effects);
    other.tick(1_000, effects);
    const [first] = effects;
    assert.ok(first?.kind === 'sendDatagram');
    assert.equal(questions.has(Buffer.from(first.bytes).toString('hex')), false);
  });

  it('no more peers are watched than the limit allows, and that is said', () => {
    const bench = new Bench(funknode(), { watchedMax: 2 });
    for (const port of [1, 2, 3]) bench.watch(`n${port}`, { host: '10.0.0.2', port });
    assert.equal(bench.core.stats.watched, 2);
    assert.deepEqual(bench.kinds(), ['dropped']);
  });
});

describe('liveness: the echo rule', () => {
  it('answers clusterfunk with the two bytes it sent', () => {
    const bench = new Bench();
    bench.receive(STRANGER, Buffer.from('Yo'));
    assert.deepEqual(
      bench.sent.map(({ to, bytes }) => [formatEndpoint(to), Buffer.from(bytes).toString()]),
      [['10.9.9.9:4242', 'Yo']],
    );
  });

  it('never answers with more than it was asked, nor long or empty packets at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const echo = echoOf(bytes);
        if (echo === undefined) assert.ok(bytes.length === 0 || bytes.length > 32 || bytes.length === 16);
        else assert.equal(echo.length, bytes.length);
      }),
    );
    assert.equal(echoOf(new Uint8Array(0)), undefined);
    assert.equal(echoOf(new Uint8Array(33)), undefined);
    assert.deepEqual(echoOf(new Uint8Array(32)), new Uint8Array(32));
  });

  it('an echo is never echoed: two nodes on one socket each do not keep each other busy', () => {
    const a = new Bench();
    const b = new Bench();
    const [atA, atB]: [Endpoint, Endpoint] = [
      { host: '10.0.0.1', port: 7949 },
      { host: '10.0.0.2', port: 7949 },
    ];
    a.answer = (_, bytes) => void b.receive(atA, bytes) as undefined;
    b.answer = (_, bytes) => void a.receive(atB, bytes) as undefined;
    a.watch('b', atB);
    b.watch('a', atA);
    for (let i = 0; i < 100; i++) {
      a.run(50);
      b.run(50);
    }
    assert.deepEqual([a.events, b.events], [[], []]);
    assert.ok(a.sent.length < 80, `${a.sent.length} packets in 5 s`);
    // A late echo, of a question that is forgotten by now, ends where it arrives.
    const late = echoOf(a.sent[0]?.bytes ?? new Uint8Array());
    assert.ok(late !== undefined);
    const before = a.sent.length;
    a.receive(atB, late);
    assert.equal(a.sent.length, before);
  });

  it('a forged exchange between an endpoint of ours and one that echoes everything dies out within a second', () => {
    const bench = new Bench(clusterfunk(0));
    bench.receive(STRANGER, Buffer.from('Yo'));
    bench.run(1);
    assert.ok(bench.sent.length <= DEFAULT_LIVENESS_CONFIG.echoesPerSourceMax);
    const before = bench.sent.length;
    bench.run(60_000);
    assert.equal(bench.sent.length, before);
  });

  it('a flood of invented sources does not keep the next one from its echo', () => {
    const bench = new Bench();
    for (let i = 0; i < 50_000; i++) {
      bench.receive(
        { host: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: 1_024 + (i % 60_000) },
        Buffer.from('Yo'),
      );
    }
    const before = bench.sent.length;
    bench.receive(STRANGER, Buffer.from('Yo'));
    assert.equal(bench.sent.length, before + 1);
  });

  it('an IPv4 sender seen by a dual-stack socket is the peer that is watched', () => {
    const bench = new Bench();
    bench.watch();
    bench.run(1);
    const echo = echoOf(bench.sent[0]?.bytes ?? new Uint8Array());
    assert.ok(echo !== undefined);
    bench.receive({ host: `::FFFF:${PEER.host}`, port: PEER.port }, echo);
    assert.equal(bench.core.stats.echoesReceived, 1);
  });
});

describe('liveness: settings', () => {
  it('the defaults are valid, and every problem is told at once', () => {
    assert.deepEqual(validateLivenessConfig(DEFAULT_LIVENESS_CONFIG), []);
    const problems = validateLivenessConfig({
      ...DEFAULT_LIVENESS_CONFIG,
      intervalMs: 0,
      retries: 1.5,
      watchedMax: -1,
    });
    assert.equal(problems.length, 3);
  });

  it('any weather leaves the invariants whole and the verdicts alternating', () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(900), (seed, loss, delay) => {
        const random = new SeededRandom(seed);
        const bench = new Bench((to, bytes) => {
          if (random.next() < loss) return undefined;
          const peer = to.port % 2 === 0 ? funknode(random.next() * delay) : clusterfunk(random.next() * delay);
          return peer(to, bytes);
        });
        for (let port = 1; port <= 4; port++) bench.watch(`n${port}`, { host: '10.0.0.2', port });
        for (let i = 0; i < 5; i++) {
          bench.run(2_000);
          bench.pause(random.next() * 1_000);
        }
        const last = new Map<string, string>();
        for (const { event } of bench.events) {
          if (event.kind === 'dropped') continue;
          assert.equal(event.kind, last.get(event.id) === 'dead' ? 'alive' : 'dead');
          last.set(event.id, event.kind);
        }
      }),
      { numRuns: 60 },
    );
  });
});
