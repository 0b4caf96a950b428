/** What `FunkNode` drives: the whole node, in the caller's thread (`local-node.ts`) or in one of its own (`thread-node.ts`). */
import { FunkError } from './base/errors.ts';
import type { NodeEvent } from './model/node-event.ts';
import type { ShardState } from './model/shard-map.ts';
import type { Logger } from './ports/logger.ts';
import type { NodeHandle } from './runtime/node-handle.ts';
import type { AcquireCall, ReleaseCall } from './ports/shard-hooks.ts';

/** What the application hears. All of it is called in the application's thread. */
export interface NodeRunnerHooks {
  readonly logger?: Logger;
  readonly onRelease?: (call: ReleaseCall) => Promise<readonly ShardState[]>;
  readonly onAcquire?: (call: AcquireCall) => Promise<void>;
  /** Shards are served from their start, whatever `onAcquire` does. */
  readonly servesBeforeAcquired?: boolean;
  /** Every event, in order. Must not throw. */
  readonly onEvent: (event: NodeEvent) => void;
}

/** The call needs a node that runs. */
export class NotRunningError extends FunkError {
  readonly code = 'FUNK_NOT_RUNNING';
}

/** The node's thread could not be started, or it has ended by itself. */
export class NodeThreadError extends FunkError {
  readonly code = 'FUNK_THREAD';
  /** EX_SOFTWARE, as of a turn that failed. */
  readonly exitCode = 70;
}

export interface NodeRunner {
  /** Once. Rejects with what could not be had; then all is closed again. */
  start(): Promise<void>;
  /** In order; at any time, and again. Always ends. */
  stop(): Promise<void>;
  /** Undefined before the core is there. It outlives the stop, for readings. */
  readonly handle: NodeHandle | undefined;
  /** The folder of this node's data; undefined in memory and before the start. */
  readonly dataDir: string | undefined;
}
