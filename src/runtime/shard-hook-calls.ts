/** Asks the application when shards come and go, and tells the node what came of it. */
import type { LogIndex, ShardId } from '../model/ids.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { ShardState } from '../model/shard-map.ts';
import type { Logger } from '../ports/logger.ts';
import { type AcquireCall, type AcquiredShard, HookOverError, type ReleaseCall } from '../ports/shard-hooks.ts';

/** A hook that failed to take shards over is asked again after this, and after twice as long each time up to the other. */
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;

export interface AskedHooks {
  readonly onRelease?: (call: ReleaseCall) => Promise<readonly ShardState[]>;
  readonly onAcquire?: (call: AcquireCall) => Promise<void>;
}

/** What the calls tell the node. */
export interface AskingNode {
  released(version: number, states: readonly ShardState[]): void;
  acquired(shards: readonly ShardId[], epoch: LogIndex): void;
  takeState(shard: ShardId, epoch: LogIndex): Uint8Array | undefined;
}

interface Release {
  readonly version: LogIndex;
  readonly shards: ReadonlySet<ShardId>;
  readonly controller: AbortController;
  readonly settled: Promise<void>;
}

interface Acquisition {
  readonly epoch: LogIndex;
  readonly isResumed: boolean;
  /** Those that are still wanted. */
  readonly shards: Map<ShardId, AcquiredShard>;
  readonly controller: AbortController;
}

export class ShardHookCalls {
  readonly #hooks: AskedHooks;
  readonly #node: AskingNode;
  readonly #logger: Logger;
  readonly #releases: Set<Release> = new Set();
  readonly #acquisitions: Set<Acquisition> = new Set();
  readonly #retries: Set<NodeJS.Timeout> = new Set();

  constructor(hooks: AskedHooks, node: AskingNode, logger: Logger) {
    this.#hooks = hooks;
    this.#node = node;
    this.#logger = logger;
  }

  onEvent(event: NodeEvent): void {
    if (event.kind === 'shardsReleasing') this.#release(event);
    else if (event.kind === 'shardsReleaseOver') this.#endRelease(event.version, new HookOverError(event.reason));
    else if (event.kind === 'shardsStarted') this.#acquire(event);
    else if (event.kind === 'stopped') this.close();
  }

  /** Nobody is asked any more, and whoever is at it is told so. */
  close(): void {
    const over = new HookOverError('stopped');
    for (const { controller } of [...this.#releases, ...this.#acquisitions]) controller.abort(over);
    this.#acquisitions.clear();
    for (const retry of this.#retries) clearTimeout(retry);
    this.#retries.clear();
  }

  #release(event: Extract<NodeEvent, { kind: 'shardsReleasing' }>): void {
    const { version, deadline } = event;
    this.#forget(event.shards);
    const { onRelease } = this.#hooks;
    if (onRelease === undefined) return;
    const controller = new AbortController();
    const shards = event.shards.map((shard, i) => ({
      shard,
      epoch: event.epochs[i] as LogIndex,
      to: event.to[i],
    }));
    const call: ReleaseCall = { version, shards, deadlineMs: deadline, signal: controller.signal };
    // A hook that throws at once rejects.
    const answer = (async () => await onRelease(call))();
    const settled = answer.then(
      (states) => this.#node.released(version, states),
      (error: unknown) => this.#logger.log('error', 'release', { text: String(error), version }),
    );
    const release: Release = { version, shards: new Set(event.shards), controller, settled };
    this.#releases.add(release);
    void settled.then(() => this.#releases.delete(release));
  }

  #endRelease(version: LogIndex, over: HookOverError): void {
    for (const release of this.#releases) if (release.version === version) release.controller.abort(over);
  }

  #acquire(event: Extract<NodeEvent, { kind: 'shardsStarted' }>): void {
    if (this.#hooks.onAcquire === undefined) return;
    const { epoch, isResumed } = event;
    const shards = new Map(
      event.shards.map((shard, i): [ShardId, AcquiredShard] => {
        const state = this.#node.takeState(shard, epoch);
        return [shard, { shard, from: event.from[i], state }];
      }),
    );
    const acquisition: Acquisition = { epoch, isResumed, shards, controller: new AbortController() };
    this.#acquisitions.add(acquisition);
    // Whoever still lets go of one of them is waited for: calls for one shard come in order.
    const before = [...this.#releases].filter((release) => event.shards.some((shard) => release.shards.has(shard)));
    if (before.length === 0) this.#ask(acquisition, RETRY_MS);
    else void Promise.all(before.map(({ settled }) => settled)).then(() => this.#ask(acquisition, RETRY_MS));
  }

  #ask(acquisition: Acquisition, retryMs: number): void {
    const { onAcquire } = this.#hooks;
    if (onAcquire === undefined || !this.#acquisitions.has(acquisition)) return;
    const { epoch, isResumed, controller } = acquisition;
    const call = { epoch, isResumed, shards: [...acquisition.shards.values()], signal: controller.signal };
    (async () => await onAcquire(call))().then(
      () => {
        if (!this.#acquisitions.delete(acquisition)) return;
        this.#node.acquired([...acquisition.shards.keys()], epoch);
      },
      (error: unknown) => {
        if (!this.#acquisitions.has(acquisition)) return;
        this.#logger.log('error', 'acquire', { text: String(error), epoch, shards: acquisition.shards.size });
        const retry = setTimeout(() => {
          this.#retries.delete(retry);
          this.#ask(acquisition, Math.min(2 * retryMs, RETRY_MS_MAX));
        }, retryMs);
        this.#retries.add(retry);
      },
    );
  }

  /** They are to be given up: taking them over is of no use any more. */
  #forget(shards: readonly ShardId[]): void {
    for (const acquisition of this.#acquisitions) {
      for (const shard of shards) acquisition.shards.delete(shard);
      if (acquisition.shards.size > 0) continue;
      this.#acquisitions.delete(acquisition);
      acquisition.controller.abort(new HookOverError('lost'));
    }
  }
}
