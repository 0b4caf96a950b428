/** What a node knows of its own health, and what comes of it: its disk (`storage-watch.ts`), and whether it should lead (`leader-fitness.ts`). */
import type { MonotonicMs } from '../base/machine.ts';
import type { Ailment } from '../model/ailment.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import { LeaderFitness, type LeaderFitnessHost } from './leader-fitness.ts';
import type { ClusterEffect, ClusterInput, StorageInput } from './messages.ts';
import { StorageWatch, type StorageWatchHost } from './storage-watch.ts';

export class SelfWatch {
  readonly #core: StorageWatchHost['core'];
  readonly #storage: StorageWatch;
  readonly #fitness: LeaderFitness;

  constructor(host: StorageWatchHost & LeaderFitnessHost) {
    this.#core = host.core;
    this.#storage = new StorageWatch(host);
    this.#fitness = new LeaderFitness(host);
  }

  get room(): StorageRoom {
    return this.#storage.room;
  }

  get ailment(): Ailment | undefined {
    return this.#fitness.ailment;
  }

  nextDeadline(): MonotonicMs {
    return this.#fitness.nextDeadline();
  }

  step(
    input: StorageInput | Extract<ClusterInput, { kind: 'loopDelay' }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    if (input.kind !== 'loopDelay') return this.#storage.step(input, now, effects);
    this.#fitness.onLoopDelay(input.p99Ms);
    this.#core().replica.step(input, now, effects);
  }

  /** After every input of a node that has started. One that is on its way out gives leadership away by that. */
  evaluate(isLeaving: boolean, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#storage.evaluate(now, effects);
    if (!isLeaving) this.#fitness.evaluate(now, effects);
  }
}
