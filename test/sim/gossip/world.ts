/**
 * Gossip alone, at any size: many shipped Swim machines on an invented network with invented time. Everything that chance decides
 * comes from one seed, and `trace` is a fingerprint of every effect, so a run can be had again.
 *
 * The shell around each machine is the real one in small: what waits in the sockets is handed over first, then `tick`, once per
 * wake-up. A paused process reads nothing; its socket buffer fills, then drops.
 */
import { DeadlineHeap } from '../../../src/base/deadline-heap.ts';
import { randomBetween, SeededRandom } from '../../../src/base/random.ts';
import type { Endpoint } from '../../../src/model/endpoint.ts';
import { formatEndpoint } from '../../../src/model/endpoint.ts';
import type { RequestId } from '../../../src/model/ids.ts';
import { type SwimConfig, type SwimProfile, swimConfig } from '../../../src/swim/config.ts';
import type { SwimEffect, SwimEvent, SwimInput } from '../../../src/swim/messages.ts';
import { EventQueue } from '../event-queue.ts';
import { Fingerprint } from './fingerprint.ts';
import { GossipNode, type NetworkEffect } from './node.ts';
import { VirtualStreams } from './streams.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly profile?: SwimProfile;
  readonly settings?: Partial<SwimConfig>;
  /** Share of datagrams, and of TCP segments, that get lost. */
  readonly loss?: number;
  /** Share of datagrams that come twice. */
  readonly duplication?: number;
}

export interface Observation {
  readonly at: number;
  readonly observer: GossipNode;
  readonly event: SwimEvent;
}

/** One way, in milliseconds: a local network. Datagrams may overtake each other. */
const DELAY_MS = { least: 0.2, most: 2 };
/** Linux' default receive buffer; what comes beyond it is dropped. */
const SOCKET_BUFFER_BYTES = 212_992;
/** Bookkeeping of the kernel per datagram in that buffer. */
const SOCKET_DATAGRAM_BYTES = 768;
/** The machines check themselves at every so manieth step in large worlds, at each in small ones. */
const CHECK_EVERY = 997;
const SMALL_WORLD = 16;

export class GossipWorld {
  now = 0;
  loss: number;
  readonly nodes: GossipNode[] = [];
  readonly options: WorldOptions;
  readonly trace: Fingerprint = new Fingerprint();
  datagrams = 0;
  datagramBytes = 0;
  longestDatagram = 0;
  readonly #random: SeededRandom;
  readonly #events: EventQueue;
  readonly #wakeUps: DeadlineHeap<GossipNode> = new DeadlineHeap();
  readonly #byEndpoint: Map<string, GossipNode> = new Map();
  readonly #watchers: Set<(seen: Observation) => void> = new Set();
  readonly #sniffers: Set<(from: GossipNode, to: Endpoint, bytes: Uint8Array) => void> = new Set();
  readonly #streams: VirtualStreams;
  #groupOf: ((node: GossipNode) => number) | undefined;
  #requests = 0;
  #steps = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.loss = options.loss ?? 0;
    this.#random = new SeededRandom(options.seed);
    let order = 0;
    this.#events = new EventQueue(() => order++);
    this.#streams = new VirtualStreams({
      now: () => this.now,
      at: (instant, act) => this.#events.push(instant, act),
      delay: () => this.#delay(),
      isLost: () => this.#isLost(),
      isCut: (from, to) => this.#isCut(from, to),
      nodeAt: (endpoint) => this.#byEndpoint.get(formatEndpoint(endpoint)),
      give: (node, input) => this.give(node, input),
    });
  }

  get up(): GossipNode[] {
    return this.nodes.filter((node) => node.isUp);
  }

  /** Uniform in [0, bound): chance for those who disturb the world. */
  below(bound: number): number {
    return Math.floor(this.#random.next() * bound);
  }

  /** Calls `watcher` with every event of every machine; returns what ends that. */
  watch(watcher: (seen: Observation) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Calls `sniffer` with every datagram that is sent, lost or not; returns what ends that. */
  sniff(sniffer: (from: GossipNode, to: Endpoint, bytes: Uint8Array) => void): () => void {
    this.#sniffers.add(sniffer);
    return () => this.#sniffers.delete(sniffer);
  }

  /** Starts node number `n`, named `n<n>`; a second time it is a new process of that name at that address. */
  start(n: number): GossipNode {
    const advertise = { host: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, port: 7946 };
    const config = swimConfig({ name: `n${n}`, advertise, ...this.options.settings }, this.options.profile);
    const seed = Math.floor(this.#random.next() * 2 ** 32);
    const node = new GossipNode(config, seed, (event) => {
      for (const watcher of this.#watchers) watcher({ at: this.now, observer: node, event });
    });
    const place = this.nodes.findIndex((other) => other.name === node.name);
    if (place < 0) this.nodes.push(node);
    else this.nodes[place] = node;
    this.#byEndpoint.set(formatEndpoint(advertise), node);
    this.give(node, { kind: 'start', meta: Uint8Array.of(n & 255) });
    return node;
  }

  /** Starts nodes 1 to `count`, one every `everyMs`; each joins one that is there already, the first by default. */
  grow(count: number, everyMs = 20): void {
    for (let n = 1; n <= count; n++) {
      const node = this.start(n);
      if (n > 1) this.join(node, this.nodes[0] as GossipNode);
      this.run(everyMs);
    }
  }

  join(node: GossipNode, through: GossipNode): void {
    this.#requests += 1;
    this.give(node, { kind: 'join', requestId: this.#requests as RequestId, addresses: [through.endpoint] });
  }

  leave(node: GossipNode): void {
    this.#requests += 1;
    this.give(node, { kind: 'leave', requestId: this.#requests as RequestId });
  }

  /** The process ends without a word; its kernel resets what it had open. */
  kill(node: GossipNode): void {
    node.isUp = false;
    node.endedAt = this.now;
    this.#wakeUps.delete(node);
    this.#byEndpoint.delete(formatEndpoint(node.endpoint));
    this.#streams.reset(node);
  }

  pause(node: GossipNode): void {
    node.isPaused = true;
    this.#wakeUps.delete(node);
  }

  resume(node: GossipNode): void {
    if (!node.isPaused) return;
    node.isPaused = false;
    const waiting = node.takeWaiting();
    if (!node.isUp) return;
    for (const input of waiting) this.#step(node, input);
    this.#tick(node);
  }

  /** Nodes of different groups do not hear each other. */
  partition(groupOf: (node: GossipNode) => number): void {
    this.#groupOf = groupOf;
  }

  heal(): void {
    this.#groupOf = undefined;
  }

  /**
   * Lifeguard's slow member: nothing it sends leaves, nothing that comes is read, but its timers run. So fares a process whose
   * network, or whose reading, is starved; one that stands still as a whole is paused.
   */
  clog(node: GossipNode): void {
    node.isClogged = true;
  }

  unclog(node: GossipNode): void {
    if (!node.isClogged) return;
    node.isClogged = false;
    for (const effect of node.takeHeldBack()) this.#carryOut(node, effect);
    for (const input of node.takeWaiting()) this.give(node, input);
  }

  give(node: GossipNode, input: SwimInput): void {
    if (!node.isUp) return;
    if (!node.isPaused && (!node.isClogged || input.kind === 'start')) {
      this.#step(node, input);
      return;
    }
    const bytes = input.kind === 'datagram' ? input.bytes.length + SOCKET_DATAGRAM_BYTES : 0;
    node.wait(input, bytes, SOCKET_BUFFER_BYTES);
  }

  run(forMs: number): void {
    const end = this.now + forMs;
    for (let next = this.#nextAt(); next <= end; next = this.#nextAt()) {
      this.now = Math.max(this.now, next);
      this.#turn();
    }
    this.now = end;
  }

  /** Runs until `isDone`, which is asked every `everyMs`; answers how long it took, undefined when that was more than `limitMs`. */
  runUntil(
    isDone: () => boolean,
    { limitMs, everyMs = 10 }: { limitMs: number; everyMs?: number },
  ): number | undefined {
    const begin = this.now;
    while (this.now <= begin + limitMs) {
      if (isDone()) return this.now - begin;
      this.run(everyMs);
    }
    return undefined;
  }

  check(): void {
    for (const node of this.up) node.swim.check();
  }

  #nextAt(): number {
    return Math.min(this.#events.nextAt, this.#wakeUps.next());
  }

  #turn(): void {
    while (this.#events.nextAt <= this.now) this.#events.pop()?.act();
    for (let due = this.#wakeUps.popDue(this.now); due !== undefined; due = this.#wakeUps.popDue(this.now))
      this.#tick(due);
  }

  #step(node: GossipNode, input: SwimInput): void {
    const effects: SwimEffect[] = [];
    node.swim.step(input, this.now, effects);
    this.#perform(node, effects);
  }

  #tick(node: GossipNode): void {
    const effects: SwimEffect[] = [];
    node.swim.tick(this.now, effects);
    this.#perform(node, effects);
  }

  #perform(node: GossipNode, effects: readonly SwimEffect[]): void {
    this.#steps += 1;
    if (this.nodes.length <= SMALL_WORLD || this.#steps % CHECK_EVERY === 0) node.swim.check();
    for (const effect of effects) {
      if (effect.kind === 'reply') continue;
      this.trace.add(this.now, node.name, effect);
      if (node.isClogged) node.holdBack(effect);
      else this.#carryOut(node, effect);
    }
    if (node.isUp && !node.isPaused) this.#wakeUps.set(node, node.swim.nextDeadline());
  }

  #carryOut(node: GossipNode, effect: NetworkEffect): void {
    if (effect.kind === 'sendDatagram') this.#send(node, effect.to, effect.bytes);
    else this.#streams.perform(node, effect);
  }

  #send(from: GossipNode, to: Endpoint, bytes: Uint8Array): void {
    this.datagrams += 1;
    this.datagramBytes += bytes.length;
    if (bytes.length > this.longestDatagram) this.longestDatagram = bytes.length;
    for (const sniffer of this.#sniffers) sniffer(from, to, bytes);
    const { duplication = 0 } = this.options;
    const copies = duplication > 0 && this.#random.next() < duplication ? 2 : 1;
    const key = formatEndpoint(to);
    for (let i = 0; i < copies; i++) {
      if (this.#isLost()) continue;
      this.#events.push(this.now + this.#delay(), () => {
        const target = this.#byEndpoint.get(key);
        if (target === undefined || this.#isCut(from, target)) return;
        this.give(target, { kind: 'datagram', from: from.endpoint, bytes });
      });
    }
  }

  #delay(): number {
    return randomBetween(this.#random, DELAY_MS.least, DELAY_MS.most);
  }

  #isLost(): boolean {
    return this.loss > 0 && this.#random.next() < this.loss;
  }

  #isCut(from: GossipNode, to: GossipNode): boolean {
    return this.#groupOf !== undefined && this.#groupOf(from) !== this.#groupOf(to);
  }
}
