/** Looks after the broadcast queues: what grows faster than gossip carries it is told of and cut. wire-gossip.md 14.6. */
import { assert } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { BroadcastKind, Broadcasts } from './broadcasts.ts';
import type { SerfConfig } from './config.ts';

const KINDS: readonly BroadcastKind[] = ['intent', 'query', 'event'];

export interface QueueWatchOptions {
  readonly config: SerfConfig;
  readonly broadcasts: Broadcasts;
  /** Members of every status. */
  readonly memberCount: () => number;
  readonly warn: (queue: BroadcastKind, depth: number, dropped: number) => void;
}

export class QueueWatch {
  readonly #options: QueueWatchOptions;
  #nextAt: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(options: QueueWatchOptions) {
    this.#options = options;
  }

  start(now: MonotonicMs): void {
    assert(this.#nextAt === Number.POSITIVE_INFINITY, 'the queues are watched once');
    this.#nextAt = now + this.#options.config.queueCheckIntervalMs;
  }

  tick(now: MonotonicMs): void {
    if (now < this.#nextAt) return;
    const { config, broadcasts, warn } = this.#options;
    this.#nextAt = now + config.queueCheckIntervalMs;
    const max = this.#depthMax();
    for (const kind of KINDS) {
      const depth = broadcasts.depth(kind);
      const dropped = depth > max ? broadcasts.prune(kind, max) : 0;
      if (depth >= config.queueDepthWarning) warn(kind, depth, dropped);
    }
  }

  nextDeadline(): MonotonicMs {
    return this.#nextAt;
  }

  /** With a minimum the limit grows with the cluster. serf: getQueueMax. */
  #depthMax(): number {
    const { queueEntriesMax, queueEntriesMin } = this.#options.config;
    if (queueEntriesMin === 0) return queueEntriesMax;
    return Math.max(2 * this.#options.memberCount(), queueEntriesMin);
  }
}
