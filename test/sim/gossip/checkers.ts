/**
 * What must hold in every history of gossip, one promise each (reliability.md G-1 to G-4, G-10). They watch from outside: every event
 * of every machine, and what the machines show.
 */
import { strict as assert } from 'node:assert';
import { equalBytes } from '../../../src/base/bytes.ts';
import type { SwimEvent, SwimMember } from '../../../src/swim/messages.ts';
import type { GossipNode } from './node.ts';
import type { GossipWorld, Observation } from './world.ts';

interface Held {
  readonly incarnation: number;
  readonly state: SwimMember['state'];
}

/** Most bytes of a datagram of ours (memberlist's UDPBufferSize). */
const DATAGRAM_BYTES_MAX = 1_400;

/** For so long an answer may be on its way, retransmits of TCP included. */
const ANSWER_MS = 2_000;

/** What the checkers need of a world while it runs. */
export type Watched = Pick<GossipWorld, 'nodes' | 'watch'>;

export class GossipCheckers {
  /** What each process last said it holds of each member. */
  readonly #held: WeakMap<GossipNode, Map<string, Held>> = new WeakMap();
  /** The highest incarnation that any process of a name gave itself. */
  readonly #own: Map<string, number> = new Map();
  /** What each process forgot, a while after the death. */
  readonly #forgotten: WeakMap<GossipNode, Map<string, number>> = new WeakMap();
  /** Those that were seen to come back long after their row had been dropped: themselves, not by the word of one that slept. */
  forgottenReturns = 0;
  /** Moves from dead or left to alive, each by a new incarnation of the member's own. */
  returns = 0;
  events = 0;
  mostQueued = 0;

  constructor(world: Watched) {
    world.watch((seen) => this.#onEvent(world, seen));
  }

  /** G-10, and what each machine says of itself. */
  atRest(world: GossipWorld): void {
    const names = world.nodes.length;
    for (const { swim, name } of world.up) {
      swim.check();
      const { broadcastsQueued } = swim.stats;
      this.mostQueued = Math.max(this.mostQueued, broadcastsQueued);
      assert.ok(swim.memberCount <= names, `${name} knows ${swim.memberCount} members of ${names}`);
      assert.ok(broadcastsQueued <= 2 * names, `${name} queues ${broadcastsQueued} broadcasts about ${names} members`);
    }
    assert.ok(world.longestDatagram <= DATAGRAM_BYTES_MAX, `a datagram of ${world.longestDatagram} bytes`);
  }

  #onEvent(world: Watched, { at, observer, event }: Observation): void {
    this.events += 1;
    if (event.kind === 'refuted') this.#raise(observer.name, event.incarnation);
    if (!('member' in event) || event.kind === 'datagramsBlocked') return;
    const { member } = event;
    if (member.name === observer.name) this.#raise(member.name, member.incarnation);
    this.#ownIncarnation(world, observer, event);
    const rows = this.#held.get(observer) ?? new Map<string, Held>();
    this.#held.set(observer, rows);
    const before = rows.get(member.name);
    if (event.kind === 'memberRemoved') {
      rows.delete(member.name);
      const forgotten = this.#forgotten.get(observer) ?? new Map<string, number>();
      this.#forgotten.set(observer, forgotten.set(member.name, member.incarnation));
      return;
    }
    rows.set(member.name, member);
    if (before === undefined) {
      const old = this.#forgotten.get(observer)?.get(member.name);
      if (old === undefined || member.state !== 'alive') return;
      // Its answer may have been under way when it ended.
      const isThere = world.nodes.some(
        ({ name, isUp, endedAt }) => name === member.name && (isUp || at - endedAt < ANSWER_MS),
      );
      assert.ok(
        isThere || member.incarnation > old,
        `${observer.name} took up ${member.name}, which is gone, at ${member.incarnation}, after it had forgotten it at ${old}`,
      );
      this.forgottenReturns += 1;
      return;
    }
    // G-3.
    assert.ok(
      member.incarnation >= before.incarnation,
      `${observer.name} took ${member.name} from incarnation ${before.incarnation} back to ${member.incarnation}`,
    );
    // G-2.
    if (event.kind !== 'memberJoined') return;
    assert.ok(before.state === 'dead' || before.state === 'left', `${member.name} joined while ${before.state}`);
    assert.ok(
      member.incarnation > before.incarnation,
      `${observer.name} raised ${member.name} from the dead without a refutation of its own`,
    );
    this.returns += 1;
  }

  /** G-3: only the member itself makes new incarnations; nobody may hold one that it never had. */
  #ownIncarnation(world: Watched, observer: GossipNode, event: SwimEvent & { readonly member: SwimMember }): void {
    const { name, incarnation } = event.member;
    // New metadata raise it without an event of its own.
    if (incarnation > (this.#own.get(name) ?? 0)) {
      for (const node of world.nodes) if (node.name === name) this.#raise(name, node.swim.self.incarnation);
    }
    const highest = this.#own.get(name) ?? 0;
    assert.ok(
      incarnation <= highest,
      `${observer.name} holds ${name} at ${incarnation}, which never was above ${highest}`,
    );
  }

  #raise(name: string, incarnation: number): void {
    this.#own.set(name, Math.max(this.#own.get(name) ?? 0, incarnation));
  }
}

/** Whether all living hold exactly the living for alive, at their address, with their metadata; incarnations may differ. */
export function isAgreed(world: GossipWorld): boolean {
  const { up } = world;
  // The cheap question first.
  if (up.some(({ swim }) => swim.stats.membersAlive !== up.length || swim.stats.membersSuspect > 0)) return false;
  return up.every(({ swim }) =>
    up.every((node) => {
      const seen = swim.member(node.name);
      return seen?.state === 'alive' && equalBytes(seen.meta, node.swim.self.meta) && sameHost(seen, node.swim.self);
    }),
  );
}

/** G-1: the same, in the same incarnations. */
export function isConverged(world: GossipWorld): boolean {
  const { up } = world;
  return (
    isAgreed(world) &&
    up.every(({ swim }) => up.every((node) => swim.member(node.name)?.incarnation === node.swim.self.incarnation))
  );
}

/** Says who believes what when they do not. */
export function assertConverged(world: GossipWorld): void {
  const faults = world.up.flatMap(({ name, swim }) =>
    world.nodes.flatMap((node) => {
      const seen = swim.member(node.name);
      const isSeen = seen?.state === 'alive' || seen?.state === 'suspect';
      const own = node.swim.self.incarnation;
      if (!node.isUp)
        return isSeen ? [`${name} sees ${node.name}, which is gone, ${seen.state} at ${seen.incarnation}`] : [];
      return seen?.state === 'alive' && seen.incarnation === own
        ? []
        : [`${name} sees ${node.name} of ${own} as ${seen?.state} at ${seen?.incarnation}`];
    }),
  );
  assert.equal(faults.length, 0, `${faults.length} differences: ${faults.slice(0, 20).join('; ')}`);
}

function sameHost(a: SwimMember, b: SwimMember): boolean {
  return a.address.port === b.address.port && equalBytes(a.addressBytes, b.addressBytes);
}
