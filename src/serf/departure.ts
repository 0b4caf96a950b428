/**
 * How this node goes, and how it says that another has gone. wire-gossip.md 14.7.
 *
 *   staying --leave--> announcing --intent sent or 5 s--> departing --dead(self) sent--> lingering --1 s--> gone
 *
 * The intent goes before the word to gossip: the other way round, peers see a failure until the intent reaches them.
 */
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { RequestId } from '../model/ids.ts';
import { encodeSerfMessage, type LeaveIntent } from '../wire/serf/messages.ts';
import type { Broadcasts } from './broadcasts.ts';
import type { SerfConfig } from './config.ts';
import { isPresent, type Membership } from './membership.ts';
import type { SerfInput, SerfOutcome } from './messages.ts';

export type Stage = 'staying' | 'announcing' | 'departing' | 'lingering' | 'gone';

export interface DepartureOptions {
  readonly config: SerfConfig;
  readonly membership: Membership;
  readonly broadcasts: Broadcasts;
  readonly reply: (requestId: RequestId, outcome: SerfOutcome) => void;
  /** Asks SWIM to spread that we are gone; `onDeparted` is to be called when it has. */
  readonly departGossip: (now: MonotonicMs) => void;
}

/** Either a step of our own leave, or the request to force another out that is waiting for its intent to spread. */
type Deadline = 'announce' | 'linger' | RequestId;

export class Departure {
  readonly #options: DepartureOptions;
  readonly #deadlines: DeadlineHeap<Deadline> = new DeadlineHeap();
  readonly #requests: RequestId[] = [];
  #stage: Stage = 'staying';
  /** Our intent was sent its full number of times, or its time is up. */
  #isAnnounced = false;

  constructor(options: DepartureOptions) {
    this.#options = options;
  }

  get stage(): Stage {
    return this.#stage;
  }

  nextDeadline(): MonotonicMs {
    return this.#deadlines.next();
  }

  tick(now: MonotonicMs): void {
    for (let due = this.#deadlines.popDue(now); due !== undefined; due = this.#deadlines.popDue(now)) {
      if (due === 'announce') this.#isAnnounced = true;
      else if (due === 'linger') this.#finish();
      else this.#options.reply(due, { kind: 'done' });
    }
  }

  leave(requestId: RequestId, now: MonotonicMs): void {
    const { config, membership, broadcasts } = this.#options;
    this.#requests.push(requestId);
    const hasStarted = membership.get(config.swim.name) !== undefined;
    if (!hasStarted || this.#stage === 'gone') this.#finish();
    if (this.#stage !== 'staying') return;
    this.#stage = 'announcing';
    const intent = this.#leaveIntent({ node: config.swim.name, prune: false }, now);
    if (!this.#hasCompany()) {
      this.#isAnnounced = true;
      return;
    }
    this.#deadlines.set('announce', now + config.broadcastTimeoutMs);
    const onFinished = (): void => {
      this.#isAnnounced = true;
    };
    broadcasts.add('intent', encodeSerfMessage(intent), { onFinished });
  }

  /** Moves on when the announcement is over. Its end is noticed inside a step of SWIM, where SWIM must not be stepped again. */
  settle(now: MonotonicMs): void {
    if (this.#stage !== 'announcing' || (!this.#isAnnounced && this.#hasCompany())) return;
    this.#stage = 'departing';
    this.#deadlines.delete('announce');
    this.#options.departGossip(now);
  }

  onDeparted(now: MonotonicMs): void {
    this.#stage = 'lingering';
    if (this.#hasCompany()) this.#deadlines.set('linger', now + this.#options.config.leavePropagateDelayMs);
    else this.#finish();
  }

  forceLeave(input: SerfInput & { readonly kind: 'forceLeave' }, now: MonotonicMs): void {
    const { config, broadcasts, reply } = this.#options;
    const { requestId, node, prune } = input;
    if (node === config.swim.name) {
      reply(requestId, { kind: 'refused', reason: 'a node cannot force itself to leave: tell it to leave' });
      return;
    }
    const intent = this.#leaveIntent({ node, prune }, now);
    if (!this.#hasCompany()) {
      reply(requestId, { kind: 'done' });
      return;
    }
    this.#deadlines.set(requestId, now + config.broadcastTimeoutMs);
    const onFinished = (): void => {
      if (this.#deadlines.delete(requestId)) reply(requestId, { kind: 'done' });
    };
    broadcasts.add('intent', encodeSerfMessage(intent), { onFinished });
  }

  #finish(): void {
    this.#stage = 'gone';
    for (const requestId of this.#requests.splice(0)) this.#options.reply(requestId, { kind: 'left' });
  }

  /** A leave intent of the present moment, already applied here. */
  #leaveIntent(about: { readonly node: string; readonly prune: boolean }, now: MonotonicMs): LeaveIntent {
    const { membership } = this.#options;
    const intent: LeaveIntent = { kind: 'leaveIntent', lamportTime: membership.clock.time, ...about };
    membership.clock.increment();
    membership.onLeaveIntent(intent, false, now);
    return intent;
  }

  /** Whether anyone else is there to hear us. */
  #hasCompany(): boolean {
    const { config, membership } = this.#options;
    for (const record of membership.records()) if (isPresent(record) && record.name !== config.swim.name) return true;
    return false;
  }
}
