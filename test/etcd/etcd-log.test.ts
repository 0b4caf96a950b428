/** One node's agreement through etcd, beside whoever else writes there: what it believes, and what ends it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { utf8 } from '../../src/base/bytes.ts';
import { EtcdLog } from '../../src/etcd/etcd.ts';
import { encodeEntry, encodeImageHeader, encodeIndex, Layout } from '../../src/etcd/layout.ts';
import type { EtcdAnswer, EtcdInput, EtcdLogEffect, EtcdPut, KeyRange } from '../../src/etcd/messages.ts';
import {
  type ClusterId,
  type LogIndex,
  memberId,
  type MemberId,
  type NodeId,
  type Stamp,
  type Term,
} from '../../src/model/ids.ts';
import type { Entry } from '../../src/model/log.ts';
import { Chance } from '../sim/chance.ts';
import { type EtcdClient, SimulatedEtcd } from '../sim/simulated-etcd.ts';

const PREFIX = '/test';
const layout = new Layout(PREFIX);
const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;

/** Time, and an etcd without harm. */
class World {
  now = 0;
  readonly etcd: SimulatedEtcd;
  readonly #queue: { at: number; act: () => void }[] = [];
  readonly #nodes: Node[] = [];
  #asks = 0;
  readonly #answers: Map<number, (answer: EtcdAnswer) => void> = new Map();
  readonly #outsider: EtcdClient = {
    machine: -1,
    isUp: true,
    receive: ({ told }) => {
      if (told.kind === 'etcdAnswer') this.#answers.get(told.ask)?.(told.answer);
    },
  };

  constructor() {
    this.etcd = new SimulatedEtcd(this, new Chance(1, 'etcd'), { rate: 1, meanMs: 0.5 });
  }

  onEtcdOutage(): void {}

  at(instant: number, act: () => void): void {
    this.#queue.push({ at: instant, act });
    this.#queue.sort((a, b) => a.at - b.at);
  }

  node(name: string): Node {
    const node = new Node(this, name, this.#nodes.length);
    this.#nodes.push(node);
    return node;
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const wakes = this.#nodes.filter((node) => node.isUp).map((node) => node.log.nextDeadline());
      const next = Math.min(end, this.#queue[0]?.at ?? end, ...wakes.map((at) => Math.max(at, this.now + 0.01)));
      this.now = next;
      if (next >= end) return;
      while ((this.#queue[0]?.at ?? Number.POSITIVE_INFINITY) <= next) this.#queue.shift()?.act();
      for (const node of this.#nodes) node.tick();
    }
  }

  /** Somebody who is no node of ours does this to etcd, and is answered. */
  tamper({ puts = [], deletes = [] }: { puts?: readonly EtcdPut[]; deletes?: readonly KeyRange[] }): void {
    this.#asks += 1;
    this.etcd.perform(this.#outsider, {
      kind: 'askEtcd',
      ask: this.#asks,
      question: { kind: 'txn', guards: [], puts, deletes },
    });
    this.run(20);
  }
}

class Node implements EtcdClient {
  readonly self: MemberId;
  readonly machine: number;
  readonly log: EtcdLog;
  readonly entries: Entry[] = [];
  readonly effects: EtcdLogEffect[] = [];
  isUp = true;
  readonly #world: World;

  constructor(world: World, name: string, machine: number) {
    this.#world = world;
    this.machine = machine;
    this.self = memberId(name as NodeId, '0123456789abcdef' as Stamp);
    const found = (): { clusterId: ClusterId; command: Uint8Array } => ({ clusterId: CLUSTER, command: utf8('found') });
    const config = { prefix: PREFIX, ttlSeconds: 2, clockDrift: 0.02, mayLead: () => true, found, where: 'the test' };
    this.log = new EtcdLog(config, this.self, new Chance(machine + 1, 'node'));
  }

  receive({ told }: { readonly told: EtcdInput }): void {
    if (this.isUp) this.#act((effects) => this.log.onEtcd(told, this.#world.now, effects));
  }

  tick(): void {
    if (this.isUp) this.#act((effects) => this.log.tick(this.#world.now, effects));
  }

  propose(text: string): void {
    this.#act((effects) =>
      this.log.step({ kind: 'propose', requestId: 7 as never, items: [utf8(text)] }, this.#world.now, effects),
    );
  }

  /** Why it has ended. */
  get stopReason(): string | undefined {
    const stop = this.effects.find((effect) => effect.kind === 'stop');
    return stop?.kind === 'stop' ? stop.reason : undefined;
  }

  get texts(): string[] {
    return this.entries.map(({ data }) => Buffer.from(data).toString()).filter((text) => text !== '');
  }

  #act(act: (effects: EtcdLogEffect[]) => void): void {
    const effects: EtcdLogEffect[] = [];
    act(effects);
    this.log.check();
    for (const effect of effects) {
      this.effects.push(effect);
      if (effect.kind === 'commit') this.entries.push(...effect.entries);
      else if (effect.kind === 'askEtcd' || effect.kind === 'watchEtcd' || effect.kind === 'unwatchEtcd')
        this.#world.etcd.perform(this, effect);
    }
  }
}

function entry(index: number, term: number, text: string): Entry {
  return { index: index as LogIndex, term: term as Term, kind: 'command', data: utf8(text) };
}

/** A leader that has written three entries, and one that follows. */
function pair(): { readonly world: World; readonly leader: Node; readonly follower: Node } {
  const world = new World();
  const leader = world.node('a');
  world.run(1_000);
  assert.equal(leader.log.role, 'leader');
  const follower = world.node('b');
  leader.propose('x');
  world.run(1_000);
  assert.deepEqual(
    [leader.texts, follower.texts],
    [
      ['found', 'x'],
      ['found', 'x'],
    ],
  );
  return { world, leader, follower };
}

describe('agreement through etcd: what is not to be believed', () => {
  const cases: readonly (readonly [string, (world: World, term: Term) => void, RegExp])[] = [
    [
      'an entry that is none',
      (world) => world.tamper({ puts: [{ key: layout.entry(4), value: utf8('?') }] }),
      /cannot be read: format 63 is unknown/,
    ],
    [
      'an entry under the key of another',
      (world, term) => world.tamper({ puts: [{ key: layout.entry(4), value: encodeEntry(entry(9, term, 'y')) }] }),
      /holds entry 9/,
    ],
    [
      'a gap',
      (world, term) => world.tamper({ puts: [{ key: layout.entry(5), value: encodeEntry(entry(5, term, 'y')) }] }),
      /no entry 4, and one at 5/,
    ],
    [
      'an entry that is gone',
      (world) => world.tamper({ deletes: [{ from: layout.entry(2), to: layout.entry(3) }] }),
      /somebody has deleted \/test\/log\/0+2/,
    ],
    ['a cluster that is gone', (world) => world.tamper({ deletes: [layout.head] }), /somebody has deleted/],
    [
      'another cluster',
      (world) => world.tamper({ puts: [{ key: layout.cluster, value: utf8('BBBBBBBBBBBBBBBBBBBBBA') }] }),
      /has taken the place of/,
    ],
    [
      'bytes where a name should be',
      (world) => world.tamper({ puts: [{ key: layout.leader, value: Uint8Array.of(0xff, 0xfe) }] }),
      /the seat is taken by something/,
    ],
  ];
  for (const [what, harm, reason] of cases)
    it(`ends whoever hears of it: ${what}`, () => {
      const { world, leader, follower } = pair();
      harm(world, leader.log.term);
      world.run(200);
      assert.match(follower.stopReason ?? 'it goes on', reason);
      assert.match(follower.stopReason ?? '', /^etcd at the test, below \/test: /);
    });

  it('knows again what it has heard, after it was away for long', () => {
    for (const [harm, reason] of [
      [(world: World) => world.tamper({ puts: [{ key: layout.end, value: encodeIndex(2 as LogIndex) }] }), /ends at 2/],
      [
        (world: World) => world.tamper({ deletes: [{ from: layout.cluster, to: `${layout.cluster}\0` }] }),
        /this node has heard 3 entries/,
      ],
    ] as const) {
      const { world, leader, follower } = pair();
      leader.isUp = false;
      world.etcd.cutOff(follower.machine);
      world.run(5_000);
      harm(world);
      world.etcd.compactNow();
      world.etcd.end();
      world.run(6_000);
      assert.match(follower.stopReason ?? 'it goes on', reason);
    }
  });

  it('believes no image that is not whole, and reads one that is, with what comes after it', () => {
    const { world, leader } = pair();
    const image = utf8('the state through 3');
    const meta = {
      clusterId: CLUSTER,
      lastLog: { index: 3 as LogIndex, term: leader.log.term },
      configuration: leader.log.configuration,
      configurationIndex: 0 as LogIndex,
    };
    assert.equal(leader.log.takesImage, true);
    leader.log.keepImage(meta, image, world.now);
    assert.equal(leader.log.takesImage, false, 'one at a time');
    leader.propose('after');
    world.run(500);
    assert.equal(leader.log.takesImage, true);
    assert.ok(leader.effects.some((effect) => effect.kind === 'imageKept' && effect.index === 3));
    const late = world.node('c');
    world.run(500);
    const got = late.effects.find((effect) => effect.kind === 'image');
    assert.deepEqual(got?.kind === 'image' ? Buffer.from(got.bytes).toString() : '', 'the state through 3');
    assert.deepEqual(late.texts, ['after']);

    const header = { lastLog: { index: 3 as LogIndex, term: leader.log.term }, pieces: 1, crc: 1 };
    world.tamper({ puts: [{ key: layout.image(3), value: encodeImageHeader(header) }] });
    const later = world.node('d');
    world.run(500);
    assert.match(later.stopReason ?? 'it goes on', /the image at 3 is damaged/);
  });
});
