/** One channel of grpc-js to each node that is asked, made when it is and closed when its address is published no more. */
import {
  Channel,
  type ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
  connectivityState,
} from '@grpc/grpc-js';
import { formatEndpoint } from '../../model/endpoint.ts';
import type { OwnerBook } from './owner-book.ts';
import { CLUSTER_CHANNEL_OPTIONS } from './cluster-resolver.ts';

/** From the first packet to a connection. A host that is there answers in milliseconds, and whoever waits may have a deadline long after. */
const CONNECT_MS_MAX = 3_000;

interface OwnerChannel {
  readonly channel: ChannelInterface;
  /** Told once whether there is a connection. */
  readonly waiting: Set<(isReady: boolean) => void>;
  isWatched: boolean;
}

export class OwnerChannels {
  readonly #book: OwnerBook;
  readonly #credentials: ChannelCredentials;
  readonly #options: ChannelOptions;
  readonly #open: Map<string, OwnerChannel> = new Map();
  #isClosed = false;

  constructor(book: OwnerBook, credentials: ChannelCredentials, options: ChannelOptions) {
    this.#book = book;
    this.#credentials = credentials;
    this.#options = { ...CLUSTER_CHANNEL_OPTIONS, ...options };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get size(): number {
    return this.#open.size;
  }

  /** A connected channel to `address`, now; undefined when there is none yet. */
  ready(address: string): ChannelInterface | undefined {
    const { channel } = this.#of(address);
    return channel.getConnectivityState(true) === connectivityState.READY ? channel : undefined;
  }

  /**
   * Calls `settled` once: true when the channel to `address` is connected, false as soon as it is clear that nobody answers there. Never from
   * within. Returns the function that ends it before.
   */
  connect(address: string, settled: (isReady: boolean) => void): () => void {
    const held = this.#of(address);
    held.waiting.add(settled);
    this.#watch(address, held);
    return () => held.waiting.delete(settled);
  }

  /** Closes what leads to addresses that nobody publishes any more. Calls under way end first. */
  prune(): void {
    const wanted = new Set([...this.#book.endpoints().values()].map(formatEndpoint));
    for (const [address, held] of this.#open) {
      if (wanted.has(address) || held.waiting.size > 0) continue;
      this.#open.delete(address);
      held.channel.close();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const { channel, waiting } of this.#open.values()) {
      channel.close();
      waiting.clear();
    }
    this.#open.clear();
  }

  #of(address: string): OwnerChannel {
    const held = this.#open.get(address);
    if (held !== undefined) return held;
    const channel = new Channel(address, this.#credentials, this.#options);
    const made: OwnerChannel = { channel, waiting: new Set(), isWatched: false };
    this.#open.set(address, made);
    return made;
  }

  /** One watch for all who wait: grpc-js cannot be told to end one. */
  #watch(address: string, held: OwnerChannel): void {
    if (held.isWatched) return;
    held.isWatched = true;
    const { channel } = held;
    const limit = new Date();
    limit.setMilliseconds(limit.getMilliseconds() + CONNECT_MS_MAX);
    const look = (): void => {
      const state = this.#open.get(address) === held ? channel.getConnectivityState(true) : connectivityState.SHUTDOWN;
      if (state === connectivityState.READY) return settle(true);
      // It goes on trying by itself; whoever waits looks again, and may choose another node meanwhile.
      if (state === connectivityState.SHUTDOWN || state === connectivityState.TRANSIENT_FAILURE) return settle(false);
      channel.watchConnectivityState(state, limit, (error) => (error === undefined ? look() : settle(false)));
    };
    const settle = (isReady: boolean): void => {
      held.isWatched = false;
      const waiting = [...held.waiting];
      held.waiting.clear();
      for (const settled of waiting) settled(isReady);
    };
    setImmediate(look);
  }
}
