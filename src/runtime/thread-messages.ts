/** What an application and the thread of its node say to each other. Plain values, for they cross a thread. */
import type { Backup } from '../model/backup.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { GossipOutcome, GossipRequest } from '../model/gossip-request.ts';
import type { NodeId } from '../model/ids.ts';
import type { KvRequest } from '../model/kv.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { NodeStats } from '../model/node-stats.ts';
import type { RoutingReport } from '../model/routing-report.ts';
import type { ShardState } from '../model/shard-map.ts';
import type { ShardPlanReport, ShardSettingsChange, ShardWhatIf } from '../model/shard-plan.ts';
import type { ShardSettings } from '../model/shard-settings.ts';
import type { LogLevel } from '../ports/logger.ts';
import type { KvDone } from './kv-errors.ts';
import type { Discovered, PermitRequest } from './node-handle.ts';
import type { AcquireCall, HookEnd, ReleaseCall } from '../ports/shard-hooks.ts';
import type { ThreadFailure } from './thread-failures.ts';
import type { ViewAnswer } from './thread-view.ts';

/** Memory that both threads see. */
export interface ThreadMemory {
  /** See `shared-ownership.ts`. */
  readonly ownership: SharedArrayBuffer;
  /** Words of `thread-questions.ts` and `thread-outlet.ts`. */
  readonly words: SharedArrayBuffer;
}

/** Places in `words`. */
export const WORD_ANSWERS = 0;
export const WORD_TAKEN = 1;
export const WORD_WAITS = 2;
const WORDS = 4;

export function threadWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * WORDS);
}

/** The calls of a `NodeHandle` that end in a promise. */
export type HandleCall =
  | { readonly name: 'join'; readonly addresses: readonly Endpoint[]; readonly replay: boolean }
  | { readonly name: 'setTags'; readonly tags: ReadonlyMap<string, string | undefined> }
  | { readonly name: 'gossip'; readonly request: GossipRequest }
  | { readonly name: 'kv'; readonly request: KvRequest }
  | { readonly name: 'addNode' | 'removeNode'; readonly node: NodeId }
  | { readonly name: 'planShards'; readonly question: ShardWhatIf }
  | { readonly name: 'configureShards'; readonly change: ShardSettingsChange }
  | { readonly name: 'takeRestartPermit'; readonly permit: PermitRequest }
  | { readonly name: 'giveRestartPermit'; readonly holder: string }
  | { readonly name: 'stepDown' | 'drain' | 'undrain' | 'backup' };

/** Of `join`, `gossip`, `kv`, `backup`, `planShards`, `configureShards`; undefined of all others. */
export type CallValue = number | GossipOutcome | KvDone | Backup | ShardPlanReport | ShardSettings | undefined;

export type ToThread =
  | { readonly kind: 'call'; readonly id: number; readonly call: HandleCall }
  /** The caller has lost interest. */
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'released'; readonly version: number; readonly states: readonly ShardState[] }
  | { readonly kind: 'discovered'; readonly found: Discovered }
  | { readonly kind: 'routed'; readonly report: RoutingReport }
  /** A hook of the application has ended, badly when there is a failure. */
  | {
      readonly kind: 'hookEnded';
      readonly id: number;
      readonly failure: string | undefined;
      /** Of a release: what goes to the next owners. */
      readonly states: readonly ShardState[];
    }
  /** What waited for the application to keep up may come now. */
  | { readonly kind: 'more' }
  | { readonly kind: 'stop' };

/** In the order in which it came about. */
export type FromThread =
  /** The core is there. Comes before any event. */
  | {
      readonly kind: 'running';
      readonly view: ViewAnswer;
      readonly stats: NodeStats;
      readonly dataDir: string | undefined;
    }
  | { readonly kind: 'started' }
  | { readonly kind: 'startFailed'; readonly failure: ThreadFailure }
  /** `seq` counts the events. */
  | { readonly kind: 'event'; readonly seq: number; readonly event: NodeEvent }
  /** A hook is to be called; `hookOver` aborts its signal. */
  | { readonly kind: 'release'; readonly id: number; readonly call: Omit<ReleaseCall, 'signal'> }
  | { readonly kind: 'acquire'; readonly id: number; readonly call: Omit<AcquireCall, 'signal'> }
  | { readonly kind: 'hookOver'; readonly id: number; readonly reason: HookEnd }
  | {
      readonly kind: 'log';
      readonly rooms: readonly string[];
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: 'answer'; readonly id: number; readonly value: CallValue }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: ThreadFailure }
  /** Everything is closed; the last readings, if there ever was a core. Nothing comes after it. */
  | { readonly kind: 'ended'; readonly last: LastReadings | undefined };

export interface LastReadings {
  readonly view: ViewAnswer;
  readonly stats: NodeStats;
}

/** Asked and answered while the application's thread waits. */
export type Question =
  /** `basis`: the edition of the view that the asker has; 0 for none. */
  | { readonly kind: 'view'; readonly basis: number }
  | { readonly kind: 'stats' }
  | { readonly kind: 'confirmShardMap'; readonly node: NodeId; readonly version: number };

export type Answer =
  /** `seq`: of the newest event that the view knows of. */
  | { readonly kind: 'view'; readonly seq: number; readonly view: ViewAnswer }
  | { readonly kind: 'stats'; readonly stats: NodeStats }
  | { readonly kind: 'confirmShardMap'; readonly success: boolean; readonly currentIndex: number };
