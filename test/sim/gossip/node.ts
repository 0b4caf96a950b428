/** One machine of the gossip world, with what its process holds: its streams' numbers and, while it stands still, its sockets. */
import { EMPTY_BYTES } from '../../../src/base/bytes.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import type { Endpoint } from '../../../src/model/endpoint.ts';
import { formatEndpoint } from '../../../src/model/endpoint.ts';
import type { StreamId } from '../../../src/model/ids.ts';
import type { SwimConfig } from '../../../src/swim/config.ts';
import type { SwimDelegate, SwimEffect, SwimEvent, SwimInput } from '../../../src/swim/messages.ts';
import { Swim } from '../../../src/swim/swim.ts';

export type NetworkEffect = Exclude<SwimEffect, { readonly kind: 'reply' }>;

export class GossipNode {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly swim: Swim;
  isUp = true;
  /** When its process ended. */
  endedAt: number = Number.POSITIVE_INFINITY;
  isPaused = false;
  isClogged = false;
  /** Datagrams that found its socket full while it stood still. */
  overflowed = 0;
  #nextAccepted = 1;
  #waiting: SwimInput[] = [];
  #waitingBytes = 0;
  #heldBack: NetworkEffect[] = [];

  constructor(config: SwimConfig, seed: number, onEvent: (event: SwimEvent) => void) {
    this.name = config.name;
    this.endpoint = config.advertise;
    this.swim = new Swim({ config, random: new SeededRandom(seed), delegate: delegateOf(onEvent) });
  }

  nextAccepted(): StreamId {
    const id = this.#nextAccepted as StreamId;
    this.#nextAccepted += 2;
    return id;
  }

  wait(input: SwimInput, bytes: number, bytesMax: number): void {
    if (this.#waitingBytes + bytes > bytesMax) {
      this.overflowed += 1;
      return;
    }
    this.#waitingBytes += bytes;
    this.#waiting.push(input);
  }

  holdBack(effect: NetworkEffect): void {
    this.#heldBack.push(effect);
  }

  takeHeldBack(): NetworkEffect[] {
    const heldBack = this.#heldBack;
    this.#heldBack = [];
    return heldBack;
  }

  takeWaiting(): SwimInput[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return waiting;
  }

  /** What this node believes of those present, as sorted words. */
  view(): string {
    return this.swim
      .members()
      .filter(({ state }) => state === 'alive' || state === 'suspect')
      .map(
        ({ name, state, incarnation, address, meta }) =>
          `${name}@${formatEndpoint(address)} ${state} ${incarnation} ${meta[0]}`,
      )
      .sort()
      .join(', ');
  }
}

/** Nothing above gossip: no user messages, no state of another layer, nobody refused. */
function delegateOf(onEvent: (event: SwimEvent) => void): SwimDelegate {
  return {
    onEvent,
    onUserMessage: () => undefined,
    answerRequest: () => undefined,
    localState: () => EMPTY_BYTES,
    mergeRemoteState: () => undefined,
    hasBroadcasts: () => false,
    takeBroadcasts: () => [],
    ackPayload: () => EMPTY_BYTES,
    onAckPayload: () => undefined,
    refuseMerge: () => undefined,
    refuseAlive: () => undefined,
    mayReclaim: () => false,
    mayReplaceSilent: () => false,
  };
}
