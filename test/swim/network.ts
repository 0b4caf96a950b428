/**
 * Many Swim machines on an invented network with invented time: datagrams and streams with delay, loss, partitions, pauses and
 * crashes, all drawn from one seed. Each node has the shell that the real one has: inputs first, then `tick`.
 */
import { SeededRandom, randomBetween } from '../../src/base/random.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import type { RequestId, StreamId } from '../../src/model/ids.ts';
import { swimConfig } from '../../src/swim/config.ts';
import type { SwimConfig, SwimProfile } from '../../src/swim/config.ts';
import type { SwimEffect, SwimEvent, SwimInput, SwimOutcome } from '../../src/swim/messages.ts';
import { Swim } from '../../src/swim/swim.ts';
import { TestDelegate } from './harness.ts';

export interface NetworkOptions {
  readonly seed: number;
  readonly profile?: SwimProfile;
  readonly settings?: Partial<SwimConfig>;
  /** Share of datagrams lost. */
  readonly loss?: number;
}

interface Delivery {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

interface Link {
  readonly peer: Node;
  readonly stream: StreamId;
}

export interface Seen {
  readonly at: number;
  readonly by: string;
  readonly event: SwimEvent;
}

export class Node {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly swim: Swim;
  readonly delegate: TestDelegate;
  readonly links: Map<StreamId, Link> = new Map();
  readonly inbox: SwimInput[] = [];
  readonly outcomes: Map<RequestId, SwimOutcome> = new Map();
  isPaused = false;
  isDown = false;
  nextAccepted = 1;

  constructor(config: SwimConfig, seed: number, delegate: TestDelegate) {
    this.name = config.name;
    this.endpoint = config.advertise;
    this.delegate = delegate;
    this.swim = new Swim({ config, random: new SeededRandom(seed), delegate });
  }

  /** What this node believes, as sorted words. */
  view(): string {
    return this.swim
      .members()
      .map(({ name, state, incarnation, address }) => `${name}@${formatEndpoint(address)} ${state} ${incarnation}`)
      .sort()
      .join(', ');
  }
}

export class Network {
  now = 0;
  readonly nodes: Node[] = [];
  readonly seen: Seen[] = [];
  loss: number;
  readonly #options: NetworkOptions;
  readonly #random: SeededRandom;
  readonly #inFlight: Delivery[] = [];
  #order = 0;
  #requests = 0;
  #steps = 0;
  #groupOf: (node: Node) => number = () => 0;
  /** A fingerprint of everything that was sent, when and to whom. */
  trace = 0;
  datagrams = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.loss = options.loss ?? 0;
  }

  add(name: string, n: number, port = 7946, meta: Uint8Array = Uint8Array.of(n)): Node {
    const advertise = { host: `10.0.${n >> 8}.${n & 255}`, port };
    const config = swimConfig({ name, advertise, ...this.#options.settings }, this.#options.profile);
    const node = new Node(config, this.#options.seed * 1_000 + this.nodes.length, new TestDelegate());
    const { events } = node.delegate;
    node.delegate.onEvent = (event) => {
      events.push(event);
      this.seen.push({ at: this.now, by: name, event });
    };
    this.nodes.push(node);
    this.#input(node, { kind: 'start', meta });
    return node;
  }

  /** `count` nodes n1, n2, ..; all join the first, and know each other at the end. */
  cluster(count: number): void {
    this.grow(count);
    const settled = this.runUntil(() => this.isAllAlive(count), 60_000);
    if (settled === undefined) throw new Error(this.up.map((node) => node.view()).join('\n'));
  }

  /** The same, without waiting for the end. */
  grow(count: number): void {
    for (let n = 1; n <= count; n++) {
      const node = this.add(`n${n}`, n);
      const first = this.nodes[0] as Node;
      if (n > 1) this.join(node, first.endpoint);
      this.run(20);
    }
  }

  join(node: Node, ...addresses: Endpoint[]): RequestId {
    this.#requests += 1;
    const requestId = this.#requests as RequestId;
    this.#input(node, { kind: 'join', requestId, addresses });
    return requestId;
  }

  leave(node: Node): RequestId {
    this.#requests += 1;
    const requestId = this.#requests as RequestId;
    this.#input(node, { kind: 'leave', requestId });
    return requestId;
  }

  setMeta(node: Node, meta: Uint8Array): void {
    this.#input(node, { kind: 'setMeta', meta });
  }

  /** Another layer of `node` doubts a member. */
  hint(node: Node, member: string): void {
    this.#input(node, { kind: 'hint', node: member, hint: 'suspect' });
  }

  kill(node: Node): void {
    node.isDown = true;
    for (const { peer, stream } of node.links.values()) {
      this.#later(node, peer, () => this.#input(peer, { kind: 'streamClosed', stream, error: 'connection reset' }));
    }
    node.links.clear();
  }

  pause(node: Node): void {
    node.isPaused = true;
  }

  resume(node: Node): void {
    node.isPaused = false;
    const waiting = node.inbox.splice(0);
    for (const input of waiting) this.#step(node, input);
    this.#tick(node);
  }

  /** Nodes of different groups do not hear each other. */
  partition(groupOf: (node: Node) => number): void {
    this.#groupOf = groupOf;
  }

  heal(): void {
    this.#groupOf = () => 0;
  }

  run(forMs: number): void {
    this.runUntil(() => false, forMs);
  }

  /** Runs until `isDone`, at most `limitMs`; answers how long it took, or undefined. */
  runUntil(isDone: () => boolean, limitMs: number): number | undefined {
    const begin = this.now;
    const end = begin + limitMs;
    for (;;) {
      const next = this.#nextAt();
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.#turn();
      if (isDone()) return this.now - begin;
    }
    this.now = end;
    return isDone() ? end - begin : undefined;
  }

  get up(): Node[] {
    return this.nodes.filter((node) => !node.isDown);
  }

  /** Whether all running nodes believe the same of everybody. */
  isConverged(): boolean {
    const views = new Set(this.up.map((node) => node.view()));
    return views.size === 1;
  }

  isAllAlive(count: number): boolean {
    return (
      this.isConverged() && this.up.every(({ swim }) => swim.stats.membersAlive === count && swim.memberCount === count)
    );
  }

  /** Who was declared dead while it ran. */
  falseDeaths(): string[] {
    const running = new Set(this.up.map(({ name }) => name));
    return this.seen.flatMap(({ by, event }) =>
      event.kind === 'memberLeft' && event.member.state === 'dead' && running.has(event.member.name)
        ? [`${event.member.name} by ${by}`]
        : [],
    );
  }

  check(): void {
    for (const node of this.up) node.swim.check();
  }

  #nextAt(): number {
    let next = this.#inFlight[0]?.at ?? Number.POSITIVE_INFINITY;
    for (const node of this.nodes) {
      if (!node.isDown && !node.isPaused) next = Math.min(next, node.swim.nextDeadline());
    }
    return next;
  }

  #turn(): void {
    while ((this.#inFlight[0]?.at ?? Number.POSITIVE_INFINITY) <= this.now) this.#inFlight.shift()?.run();
    for (const node of this.nodes) {
      if (!node.isDown && !node.isPaused && node.swim.nextDeadline() <= this.now) this.#tick(node);
    }
  }

  #input(node: Node, input: SwimInput): void {
    if (node.isDown) return;
    if (node.isPaused) node.inbox.push(input);
    else this.#step(node, input);
  }

  #step(node: Node, input: SwimInput): void {
    const effects: SwimEffect[] = [];
    node.swim.step(input, this.now, effects);
    this.#perform(node, effects);
  }

  #tick(node: Node): void {
    const effects: SwimEffect[] = [];
    node.swim.tick(this.now, effects);
    this.#perform(node, effects);
  }

  #perform(node: Node, effects: readonly SwimEffect[]): void {
    this.#steps += 1;
    // Every step in small clusters, every so often in large ones.
    if (this.nodes.length <= 12 || this.#steps % 97 === 0) node.swim.check();
    for (const effect of effects) {
      this.#note(node, effect);
      switch (effect.kind) {
        case 'sendDatagram':
          this.#send(node, effect.to, effect.bytes);
          break;
        case 'openStream':
          this.#dial(node, effect.stream, effect.to);
          break;
        case 'sendStream':
          this.#onLink(node, effect.stream, (stream) => ({ kind: 'streamBytes', stream, bytes: effect.bytes }));
          break;
        case 'closeStream':
          this.#onLink(node, effect.stream, (stream) => ({ kind: 'streamClosed', stream, error: undefined }));
          node.links.delete(effect.stream);
          break;
        case 'reply':
          node.outcomes.set(effect.requestId, effect.outcome);
          break;
      }
    }
  }

  #send(from: Node, to: Endpoint, bytes: Uint8Array): void {
    this.datagrams += 1;
    const target = this.#at(to);
    if (target === undefined || this.#random.next() < this.loss) return;
    this.#later(from, target, () => this.#input(target, { kind: 'datagram', from: from.endpoint, bytes }));
  }

  #dial(from: Node, stream: StreamId, to: Endpoint): void {
    const target = this.#at(to);
    const refused: SwimInput = { kind: 'streamClosed', stream, error: 'connection refused' };
    if (target === undefined) {
      this.#later(from, from, () => this.#input(from, refused));
      return;
    }
    this.#later(from, target, () => {
      if (target.isDown) {
        this.#later(target, from, () => this.#input(from, refused));
        return;
      }
      const accepted = target.nextAccepted as StreamId;
      target.nextAccepted += 2;
      target.links.set(accepted, { peer: from, stream });
      from.links.set(stream, { peer: target, stream: accepted });
      this.#input(target, {
        kind: 'streamAccepted',
        stream: accepted,
        from: { host: from.endpoint.host, port: 50_000 },
      });
      this.#later(target, from, () => this.#input(from, { kind: 'streamOpened', stream }));
    });
  }

  #onLink(node: Node, stream: StreamId, inputOf: (stream: StreamId) => SwimInput): void {
    const link = node.links.get(stream);
    if (link === undefined) return;
    const input = inputOf(link.stream);
    this.#later(node, link.peer, () => this.#input(link.peer, input), true);
  }

  /** Datagrams may overtake each other, pieces of a stream may not: those take a fixed time. */
  #later(from: Node, to: Node, run: () => void, inOrder = false): void {
    if (this.#groupOf(from) !== this.#groupOf(to)) return;
    const at = this.now + (inOrder ? 1 : randomBetween(this.#random, 0.2, 2));
    this.#order += 1;
    const delivery: Delivery = { at, order: this.#order, run };
    let place = this.#inFlight.length;
    while (place > 0 && (this.#inFlight[place - 1] as Delivery).at > at) place -= 1;
    this.#inFlight.splice(place, 0, delivery);
  }

  #at(endpoint: Endpoint): Node | undefined {
    return this.nodes.find(
      (node) => !node.isDown && node.endpoint.host === endpoint.host && node.endpoint.port === endpoint.port,
    );
  }

  #note(node: Node, effect: SwimEffect): void {
    const bytes = 'bytes' in effect ? effect.bytes : new Uint8Array(0);
    let word = Math.imul(this.trace, 31) + node.name.length + effect.kind.length + Math.floor(this.now * 1_000);
    for (const byte of bytes) word = (Math.imul(word, 33) + byte) | 0;
    this.trace = word;
  }
}
