/** Drives the liveness core: whom it asks, and what its verdicts mean to shard ownership. */
import type { MonotonicMs } from '../base/machine.ts';
import type { Liveness } from '../liveness/liveness.ts';
import type { LivenessEffect, LivenessInput } from '../liveness/messages.ts';
import { type Endpoint, sameEndpoint } from '../model/endpoint.ts';
import type { MemberId } from '../model/ids.ts';
import { nodeIdOf } from '../model/ids.ts';
import { type Core, drop, notify } from './core.ts';
import type { ClusterEffect } from './messages.ts';
import type { Neighbourhood, Peer } from './neighbourhood.ts';

export class LivenessWatch {
  readonly #liveness: Liveness;
  readonly #watched: Map<MemberId, Endpoint> = new Map();
  #isStale = true;

  constructor(liveness: Liveness) {
    this.#liveness = liveness;
  }

  get liveness(): Liveness {
    return this.#liveness;
  }

  /** Members, roles or the configuration have changed: look again in this turn. */
  refreshSoon(): void {
    this.#isStale = true;
  }

  /** A frame of that member has come. */
  onHeardFrom(member: MemberId, now: MonotonicMs): void {
    if (this.#watched.has(member)) this.#liveness.step({ kind: 'heard', id: member }, now, []);
  }

  onDatagram(
    { from, bytes }: Omit<Extract<LivenessInput, { kind: 'datagram' }>, 'kind'>,
    core: Core,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    this.step({ kind: 'datagram', from, bytes }, core, now, effects);
  }

  step(input: LivenessInput, core: Core, now: MonotonicMs, effects: ClusterEffect[]): void {
    const out: LivenessEffect[] = [];
    this.#liveness.step(input, now, out);
    this.#perform(out, core, now, effects);
  }

  tick(core: Core, now: MonotonicMs, effects: ClusterEffect[]): void {
    const out: LivenessEffect[] = [];
    this.#liveness.tick(now, out);
    this.#perform(out, core, now, effects);
  }

  refresh(core: Core, neighbourhood: Neighbourhood, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (!this.#isStale) return;
    this.#isStale = false;
    const targets = targetsOf(core, neighbourhood, this.#watched);
    const wanted = new Set(targets.map((peer) => peer.member));
    for (const id of [...this.#watched.keys()].filter((member) => !wanted.has(member))) {
      this.#watched.delete(id);
      this.step({ kind: 'unwatch', id }, core, now, effects);
    }
    for (const { member, liveness } of targets) {
      const before = this.#watched.get(member);
      if (liveness === undefined || (before !== undefined && sameEndpoint(before, liveness))) continue;
      this.#watched.set(member, liveness);
      this.step({ kind: 'watch', id: member, endpoint: liveness }, core, now, effects);
    }
  }

  #perform(out: readonly LivenessEffect[], core: Core, now: MonotonicMs, effects: ClusterEffect[]): void {
    for (const effect of out) {
      if (effect.kind === 'sendDatagram') {
        effects.push({ ...effect, channel: 'liveness' });
      } else if (effect.event.kind === 'dropped') {
        drop('liveness', effect.event.reason, effects);
      } else {
        const node = nodeIdOf(effect.event.id as MemberId);
        const alive = effect.event.kind === 'alive';
        core.holding.step({ kind: 'livenessChanged', node, alive }, now, effects);
        notify({ kind: 'livenessChanged', node, alive }, effects);
      }
    }
  }
}

/**
 * The leader asks everybody that may own shards: it plans by what it finds. The other voters ask the leader alone, so that whoever
 * follows it knows already what has become of it; to ask each other would cost as much again for each and hasten nothing.
 */
function targetsOf(
  { self, replica }: Core,
  neighbourhood: Neighbourhood,
  watched: ReadonlyMap<MemberId, Endpoint>,
): readonly Peer[] {
  const { voters } = replica.configuration;
  const isVoter = voters.includes(self);
  if (!replica.isLeader && !isVoter) return [];
  const leader = replica.raft?.leader;
  return neighbourhood
    .peers()
    .filter((peer) => peer.member !== self && peer.liveness !== undefined && peer.clusterId === replica.clusterId)
    .filter((peer) => {
      // Between two leaders the old one is asked on: what it is found to be is for its successor.
      if (!replica.isLeader) return leader === undefined ? watched.has(peer.member) : peer.member === leader;
      return voters.includes(peer.member) || (peer.isAlive && peer.kind !== 'non-member');
    });
}
