/** What members say in Serf's own words: its messages, one by one, and its part of a push/pull. wire-gossip.md 13, 14. */
import { unreachable } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { decodeSerfMessage, encodeSerfMessage, type UserEvent } from '../wire/serf/messages.ts';
import { decodePushPull, encodePushPull } from '../wire/serf/push-pull.ts';
import type { LamportTimes } from '../wire/serf/snapshot-file.ts';
import type { Asking } from './asking.ts';
import type { Broadcasts } from './broadcasts.ts';
import { type ExchangeParts, localState, mergeState, restoreTimes } from './exchange.ts';
import type { SendDirect } from './queries.ts';

export interface ReceptionHost extends ExchangeParts {
  readonly selfName: string;
  readonly asking: Asking;
  readonly broadcasts: Broadcasts;
  /** Whether this node means to stay: word of its leave is wrong then. */
  isStaying(): boolean;
  tellEvent(event: UserEvent): void;
}

export class Reception {
  readonly #host: ReceptionHost;

  constructor(host: ReceptionHost) {
    this.#host = host;
  }

  /** Answers false when the message is of no use. */
  onMessage(bytes: Uint8Array, now: MonotonicMs, send: SendDirect): boolean {
    const { asking, broadcasts, membership, queries, userEvents } = this.#host;
    const message = decodeSerfMessage(bytes);
    switch (message.kind) {
      case 'joinIntent':
        if (membership.onJoinIntent(message.node, message.lamportTime, now)) broadcasts.add('intent', bytes);
        return true;
      case 'leaveIntent': {
        const isStaying = message.node === this.#host.selfName && this.#host.isStaying();
        const verdict = membership.onLeaveIntent(message, isStaying, now);
        if (verdict === 'refute') this.announceJoin(now);
        if (verdict === 'news') broadcasts.add('intent', bytes);
        return true;
      }
      case 'userEvent':
        if (userEvents.onEvent(message.lamportTime, message)) {
          broadcasts.add('event', bytes);
          this.#host.tellEvent(message);
        }
        return true;
      case 'query':
        if (queries.onQuery(message, now, send)) broadcasts.add('query', bytes);
        return true;
      case 'queryResponse':
        // One that comes twice or late is no fault of anybody.
        asking.onResponse(message);
        return true;
      case 'relay':
        return queries.onRelay(message, send);
      case 'undecodable':
        return false;
      default:
        return unreachable(message);
    }
  }

  /** Our part of a push/pull. */
  localState(): Uint8Array {
    return encodePushPull(localState(this.#host));
  }

  /** The peer's part. Answers false when it is of no use. */
  onRemoteState(bytes: Uint8Array, skipOldEvents: boolean, now: MonotonicMs): boolean {
    const state = decodePushPull(bytes);
    if (state.kind !== 'pushPull') return false;
    const { selfName, tellEvent } = this.#host;
    const isStaying = this.#host.isStaying();
    const refute = (): void => this.announceJoin(now);
    mergeState(this.#host, state, { selfName, isStaying, skipOldEvents, refute, tellEvent }, now);
    return true;
  }

  /** Goes on where an earlier run ended. */
  restore(times: LamportTimes | undefined): void {
    restoreTimes(this.#host, times);
  }

  /** Tells all that we are here: after a join, and when someone says that we left. wire-gossip.md 14.3. */
  announceJoin(now: MonotonicMs): void {
    const { broadcasts, membership, selfName: node } = this.#host;
    const lamportTime = membership.clock.time;
    membership.onJoinIntent(node, lamportTime, now);
    broadcasts.add('intent', encodeSerfMessage({ kind: 'joinIntent', lamportTime, node }));
  }
}
