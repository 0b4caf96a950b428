/** What all parts of the SWIM core share: settings, table, queue, health, and the turn that is being run. */
import { utf8 } from '../base/bytes.ts';
import { Distribution } from '../base/distribution.ts';
import type { Random } from '../base/random.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { SwimStats } from '../model/node-stats.ts';
import type { GossipGuard } from '../wire/memberlist/guard.ts';
import { isHostIn } from '../wire/memberlist/network.ts';
import { Awareness } from './awareness.ts';
import { BroadcastQueue } from './broadcast-queue.ts';
import type { SwimConfig } from './config.ts';
import { Keyring } from './keyring.ts';
import { MemberTable } from './member-table.ts';
import type { SwimDelegate, SwimEffect, SwimEvent } from './messages.ts';

/** From one machine to another continent. */
const ROUND_TRIP_BOUNDS_MS: readonly number[] = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500];

export interface SwimOptions {
  readonly config: SwimConfig;
  /** Nonces are drawn from it too: outside of tests, from the operating system's source. */
  readonly random: Random;
  readonly delegate: SwimDelegate;
}

export class SwimContext {
  readonly config: SwimConfig;
  readonly random: Random;
  readonly delegate: SwimDelegate;
  readonly table: MemberTable;
  readonly queue: BroadcastQueue;
  readonly awareness: Awareness;
  readonly keyring: Keyring;
  /** Around every packet and stream. Its keys are those of the ring at the moment. */
  readonly guard: GossipGuard;
  /** Round trips of direct probes, in milliseconds. */
  readonly roundTrips: Distribution = new Distribution(ROUND_TRIP_BOUNDS_MS);
  readonly stats: SwimStats = emptyStats();
  /** Of the turn that is being run; set by the door at the start of each. */
  now: MonotonicMs = 0;
  effects: SwimEffect[] = [];
  isLeaving = false;
  #sequence = 0;

  constructor(options: SwimOptions) {
    this.config = options.config;
    this.random = options.random;
    this.delegate = options.delegate;
    this.table = new MemberTable(options.random);
    // One entry per member at most, since all are named; old names of removed members fade out.
    const { retransmitMult, membersMax } = options.config;
    this.queue = new BroadcastQueue({ retransmitMult, entriesMax: 2 * membersMax });
    this.awareness = new Awareness(options.config.awarenessMaxMultiplier);
    const { label, skipInboundLabelCheck, verifyIncoming, verifyOutgoing } = options.config;
    const keyring = new Keyring(options.config.keys);
    this.keyring = keyring;
    this.guard = {
      label: utf8(label),
      skipInboundLabelCheck,
      verifyIncoming,
      verifyOutgoing,
      get keys() {
        return keyring.keys;
      },
    };
  }

  isSelf(name: string): boolean {
    return name === this.config.name;
  }

  /**
   * Sequence numbers of pings, our own and those we send for others: 32 bits, never 0. They begin where the clock stands, for a late
   * answer to a former process of this name must not be taken for one to us (memberlist begins at 1 each time).
   */
  nextSequence(): number {
    if (this.#sequence === 0) this.#sequence = Math.floor(Math.abs(this.now) * 1_000) % 2 ** 31;
    this.#sequence = this.#sequence >= 0xffff_ffff ? 1 : this.#sequence + 1;
    return this.#sequence;
  }

  emit(event: SwimEvent): void {
    this.delegate.onEvent(event, this.now, this.effects);
  }

  /** Whether gossip may come from there, or go there. */
  allows(host: string): boolean {
    const { networksAllowed } = this.config;
    return networksAllowed.length === 0 || isHostIn(host, networksAllowed);
  }

  /** `reason` is one of a few fixed words: it becomes a label of a metric. */
  drop(reason: string, from: Endpoint | undefined): void {
    this.stats.dropped[reason] = (this.stats.dropped[reason] ?? 0) + 1;
    this.emit({ kind: 'dropped', reason, from });
  }
}

function emptyStats(): SwimStats {
  return {
    membersAlive: 0,
    membersSuspect: 0,
    membersDead: 0,
    membersLeft: 0,
    healthScore: 0,
    incarnation: 0,
    probes: 0,
    probesFailed: 0,
    indirectProbes: 0,
    suspicions: 0,
    refutations: 0,
    pushPulls: 0,
    pushPullsFailed: 0,
    packetsSent: 0,
    packetsReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    streamsOpened: 0,
    dropped: {},
    broadcastsQueued: 0,
    encryptionKeys: 0,
    roundTrips: { sum: 0, count: 0, buckets: [] },
  };
}
