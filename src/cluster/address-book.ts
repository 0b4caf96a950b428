/** Gossip addresses worth keeping beside the data, to find the others after a restart. Gathered for a while before they are written. */
import type { MonotonicMs } from '../base/machine.ts';
import type { ClusterEffect } from './messages.ts';
import type { Neighbourhood } from './neighbourhood.ts';

const REMEMBER_EVERY_MS = 2_000;

export class AddressBook {
  readonly #neighbourhood: Neighbourhood;
  #writeAt: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(neighbourhood: Neighbourhood) {
    this.#neighbourhood = neighbourhood;
  }

  nextDeadline(): MonotonicMs {
    return this.#writeAt;
  }

  onMembers(now: MonotonicMs): void {
    if (this.#writeAt === Number.POSITIVE_INFINITY) this.#writeAt = now + REMEMBER_EVERY_MS;
  }

  tick(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (now < this.#writeAt) return;
    this.#writeAt = Number.POSITIVE_INFINITY;
    const gossip = this.#neighbourhood.addressesToRemember();
    if (gossip.length > 0) effects.push({ kind: 'rememberPeers', gossip });
  }
}
