/** What only events tell: how long each state lasted, how often it was entered, how long a resharding took, who flaps. */
import type { NodeEvent } from '../model/node-event.ts';
import type { NodeState } from '../model/node-state.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import { Distribution } from '../base/distribution.ts';

/** Failed and back within this is a flap (features A3; Serf's own figure). */
const FLAP_MS = 60_000;
/** Failed members remembered for it. The oldest is forgotten first. */
const FAILED_REMEMBERED_MAX = 1_024;
/** A round of propose, acknowledge, commit is some ten milliseconds; one with a dead holder waits for its lease (0.9 s). */
const RESHARD_SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10];

export class EventTally {
  readonly stateEntries: Record<NodeState, number> = perState();
  readonly eventCounts: Record<NodeEvent['kind'], number> = perEvent();
  readonly reshardSeconds: Distribution = new Distribution(RESHARD_SECONDS);
  memberFlaps = 0;
  /** When this began to count, on the handle's clock. */
  readonly since: number;
  readonly #handle: NodeHandle;
  readonly #stateMs: Record<NodeState, number> = perState();
  readonly #failedAt: Map<string, number> = new Map();
  readonly #unsubscribe: () => void;
  #state: NodeState;
  #stateAt: number;
  #proposedAt: number | undefined;

  constructor(handle: NodeHandle) {
    this.#handle = handle;
    this.since = handle.now();
    this.#state = handle.view().state;
    this.#stateAt = this.since;
    this.#unsubscribe = handle.subscribe((event) => this.#count(event));
  }

  close(): void {
    this.#unsubscribe();
  }

  /** Milliseconds spent in each state since {@link since}, the running one included. */
  stateMs(now: number): Readonly<Record<NodeState, number>> {
    return { ...this.#stateMs, [this.#state]: this.#stateMs[this.#state] + Math.max(0, now - this.#stateAt) };
  }

  #count(event: NodeEvent): void {
    this.eventCounts[event.kind] += 1;
    const now = this.#handle.now();
    switch (event.kind) {
      case 'stateChanged':
        this.#stateMs[this.#state] += Math.max(0, now - this.#stateAt);
        this.#state = event.to;
        this.#stateAt = now;
        this.stateEntries[event.to] += 1;
        break;
      case 'shardMapProposed':
        this.#proposedAt ??= now;
        break;
      case 'shardMapChanged':
        if (this.#proposedAt !== undefined) this.reshardSeconds.observe((now - this.#proposedAt) / 1_000);
        this.#proposedAt = undefined;
        break;
      case 'memberFailed':
        this.#remember(event.member.name, now);
        break;
      case 'memberJoined':
        if (now - (this.#failedAt.get(event.member.name) ?? Number.NEGATIVE_INFINITY) <= FLAP_MS) this.memberFlaps += 1;
        this.#failedAt.delete(event.member.name);
        break;
      default:
        break;
    }
  }

  #remember(name: string, now: number): void {
    this.#failedAt.delete(name);
    this.#failedAt.set(name, now);
    if (this.#failedAt.size <= FAILED_REMEMBERED_MAX) return;
    for (const oldest of this.#failedAt.keys()) {
      this.#failedAt.delete(oldest);
      return;
    }
  }
}

function perState(): Record<NodeState, number> {
  return { Invalid: 0, Starting: 0, Joining: 0, Voting: 0, Resharding: 0, Operational: 0, Draining: 0, Stopping: 0 };
}

/** Spelled out, so that the compiler asks for a line here when the node learns to tell something new. */
function perEvent(): Record<NodeEvent['kind'], number> {
  return {
    stateChanged: 0,
    roleChanged: 0,
    leaderChanged: 0,
    leaderLost: 0,
    memberJoined: 0,
    memberLeft: 0,
    memberFailed: 0,
    memberUpdated: 0,
    memberReaped: 0,
    endpointChanged: 0,
    clusterFounded: 0,
    clusterJoined: 0,
    clusterConflict: 0,
    clusterDissolved: 0,
    configurationChanged: 0,
    shardMapProposed: 0,
    shardMapChanged: 0,
    shardsReleasing: 0,
    restartPermitChanged: 0,
    shardsReleaseOver: 0,
    shardsStarted: 0,
    leaseGained: 0,
    leaseLost: 0,
    livenessChanged: 0,
    userEvent: 0,
    queryAsked: 0,
    queryAck: 0,
    queryResponse: 0,
    queryEnded: 0,
    keysChanged: 0,
    storageRoomChanged: 0,
    ailmentChanged: 0,
    waiting: 0,
    dropped: 0,
    warning: 0,
    eventsForgotten: 0,
    stopped: 0,
  };
}
