/** An invented network of Serf machines: one clock, seeded chance, datagrams and streams that take time, may be lost or cut. */
import { type Random, SeededRandom } from '../../src/base/random.ts';
import { type Endpoint, formatEndpoint } from '../../src/model/endpoint.ts';
import type { RequestId, StreamId } from '../../src/model/ids.ts';
import type { MemberStatus } from '../../src/model/member.ts';
import { type SerfConfig, serfConfig } from '../../src/serf/config.ts';
import type { SerfEffect, SerfEvent, SerfInput, SerfOutcome } from '../../src/serf/messages.ts';
import { type MergeFilter, Serf } from '../../src/serf/serf.ts';
import type { SwimConfig } from '../../src/swim/config.ts';

export interface NodeOptions {
  readonly tags?: ReadonlyMap<string, string>;
  readonly port?: number;
  readonly mergeFilter?: MergeFilter;
  readonly config?: Partial<Omit<SerfConfig, 'swim'>>;
  readonly swim?: Partial<SwimConfig>;
}

interface StreamEnd {
  readonly node: VirtualNode;
  readonly id: StreamId;
}

/** Delays are drawn from this range, in milliseconds. */
const DELAY_MS = { least: 0.2, most: 2 };

export class VirtualNode {
  readonly serf: Serf;
  readonly address: Endpoint;
  readonly events: SerfEvent[] = [];
  readonly replies: Map<number, SerfOutcome> = new Map();
  isUp = true;
  /** What would be in its keyring file; undefined before it was written. */
  keyringFile: readonly string[] | undefined;
  /** Set: writing the keyring file fails with this. */
  diskError: string | undefined;
  /** Paused: it reads nothing, and everything that is sent to it waits in its sockets. */
  isPaused = false;
  readonly waiting: SerfInput[] = [];
  acceptedStreams = 1;

  constructor(serf: Serf, address: Endpoint) {
    this.serf = serf;
    this.address = address;
  }

  statusOf(name: string): MemberStatus | undefined {
    return this.serf.member(name)?.status;
  }

  /** Events of one kind, by member name. */
  heard(kind: SerfEvent['kind']): string[] {
    return this.events
      .filter((event) => event.kind === kind)
      .map((event) => ('member' in event ? event.member.name : ''));
  }
}

export class VirtualNetwork {
  now = 0;
  readonly nodes: VirtualNode[] = [];
  /** Share of datagrams that vanish. */
  loss = 0;
  /** Whether packets and streams pass between two nodes. */
  isCut: (from: VirtualNode, to: VirtualNode) => boolean = () => false;
  /** Whether streams alone do not pass. */
  isStreamCut: (from: VirtualNode, to: VirtualNode) => boolean = () => false;
  /** What becomes of the bytes that a node sends by stream. */
  forge: (from: VirtualNode, bytes: Uint8Array) => Uint8Array = (_from, bytes) => bytes;
  /** All that was sent by stream. */
  readonly streamed: Uint8Array[] = [];
  /** One way of a datagram beside the usual spread. */
  delayMs: (from: VirtualNode, to: VirtualNode) => number = () => 0;
  readonly #random: Random;
  #later: { readonly at: number; readonly order: number; readonly act: () => void }[] = [];
  #order = 0;
  #requests = 1;
  readonly #streams: Map<string, StreamEnd> = new Map();
  /** A line per datagram and event, to compare runs. */
  readonly trace: string[] = [];

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  add(name: string, options: NodeOptions = {}): VirtualNode {
    const address = { host: '10.0.0.1', port: options.port ?? 7000 + this.nodes.length };
    const config = serfConfig({ ...options.config, swim: { ...options.swim, name, advertise: address } });
    const random = new SeededRandom(Math.floor(this.#random.next() * 2 ** 32));
    const { mergeFilter } = options;
    const serf = new Serf(mergeFilter === undefined ? { config, random } : { config, random, mergeFilter });
    const node = new VirtualNode(serf, address);
    this.nodes.push(node);
    this.give(node, { kind: 'start', tags: options.tags ?? new Map() });
    return node;
  }

  /** Adds nodes n1, n2 and so on, of which all join the first, and lets gossip settle. */
  cluster(count: number, options: NodeOptions = {}): VirtualNode[] {
    const nodes = Array.from({ length: count }, (_, i) => this.add(`n${i + 1}`, options));
    for (const node of nodes.slice(1)) this.join(node, nodes[0] as VirtualNode);
    this.run(3_000);
    return nodes;
  }

  join(node: VirtualNode, to: VirtualNode): number {
    return this.ask(node, (requestId) => ({ kind: 'join', requestId, addresses: [to.address] }));
  }

  leave(node: VirtualNode): number {
    return this.ask(node, (requestId) => ({ kind: 'leave', requestId }));
  }

  ask(node: VirtualNode, input: (id: RequestId) => SerfInput): number {
    const id = this.#requests;
    this.#requests += 1;
    this.give(node, input(id as RequestId));
    return id;
  }

  /** The process ends without a word. */
  kill(node: VirtualNode): void {
    node.isUp = false;
    for (const [key, end] of this.#streams) {
      const [owner] = key.split('#');
      if (owner === formatEndpoint(node.address)) {
        this.#streams.delete(key);
        this.#soon(() => this.give(end.node, { kind: 'streamClosed', stream: end.id, error: 'reset' }));
      }
    }
  }

  pause(node: VirtualNode): void {
    node.isPaused = true;
  }

  resume(node: VirtualNode): void {
    node.isPaused = false;
    for (const input of node.waiting.splice(0)) this.give(node, input);
  }

  give(node: VirtualNode, input: SerfInput): void {
    if (!node.isUp) return;
    if (node.isPaused) {
      node.waiting.push(input);
      return;
    }
    const effects: SerfEffect[] = [];
    node.serf.step(input, this.now, effects);
    this.#perform(node, effects);
  }

  run(forMs: number): void {
    const until = this.now + forMs;
    for (;;) {
      const node = this.#nextAwake();
      const wakeAt = node?.serf.nextDeadline() ?? Number.POSITIVE_INFINITY;
      const first = this.#later[0];
      const at = Math.min(wakeAt, first?.at ?? Number.POSITIVE_INFINITY);
      if (at > until) break;
      this.now = Math.max(this.now, at);
      if (first !== undefined && first.at <= wakeAt) {
        this.#later.shift();
        first.act();
      } else if (node !== undefined) {
        const effects: SerfEffect[] = [];
        node.serf.tick(this.now, effects);
        this.#perform(node, effects);
      }
    }
    this.now = until;
  }

  #nextAwake(): VirtualNode | undefined {
    let best: VirtualNode | undefined;
    for (const node of this.nodes) {
      if (!node.isUp || node.isPaused) continue;
      if (best === undefined || node.serf.nextDeadline() < best.serf.nextDeadline()) best = node;
    }
    return best;
  }

  #perform(node: VirtualNode, effects: readonly SerfEffect[]): void {
    node.serf.check();
    for (const effect of effects) {
      switch (effect.kind) {
        case 'sendDatagram':
          this.trace.push(`${this.now.toFixed(3)} ${node.serf.name} > ${effect.to.port} ${effect.bytes.length}`);
          this.#sendDatagram(node, effect.to, effect.bytes);
          break;
        case 'openStream':
          this.#openStream(node, effect.stream, effect.to);
          break;
        case 'sendStream':
          this.#sendStream(node, effect.stream, this.forge(node, effect.bytes));
          break;
        case 'closeStream':
          this.#toOtherEnd(node, effect.stream, (stream) => ({ kind: 'streamClosed', stream, error: undefined }));
          this.#streams.delete(key(node, effect.stream));
          break;
        case 'saveKeyring':
          this.#saveKeyring(node, effect);
          break;
        case 'reply':
          node.replies.set(effect.requestId, effect.outcome);
          break;
        case 'notify':
          node.events.push(effect.event);
          this.trace.push(`${this.now.toFixed(3)} ${node.serf.name} ${effect.event.kind}`);
          break;
      }
    }
  }

  /** The disk takes its time. */
  #saveKeyring(node: VirtualNode, { save, keys }: SerfEffect & { readonly kind: 'saveKeyring' }): void {
    this.#soon(() => {
      if (node.diskError === undefined) node.keyringFile = keys;
      this.give(node, { kind: 'keyringSaved', save, error: node.diskError });
    }, 20);
  }

  #sendDatagram(from: VirtualNode, to: Endpoint, bytes: Uint8Array): void {
    if (this.#random.next() < this.loss) return;
    const copy = bytes.slice();
    const far = this.#at(to);
    const spread = DELAY_MS.least + this.#random.next() * (DELAY_MS.most - DELAY_MS.least);
    const delayMs = spread + (far === undefined ? 0 : this.delayMs(from, far));
    this.#soon(() => {
      const target = this.#at(to);
      if (target === undefined || this.isCut(from, target)) return;
      this.give(target, { kind: 'datagram', from: from.address, bytes: copy });
    }, delayMs);
  }

  #openStream(from: VirtualNode, stream: StreamId, to: Endpoint): void {
    this.#soon(() => {
      const target = this.#at(to);
      if (target === undefined || this.isCut(from, target) || this.isStreamCut(from, target)) {
        this.give(from, { kind: 'streamClosed', stream, error: 'refused' });
        return;
      }
      const accepted = target.acceptedStreams as StreamId;
      target.acceptedStreams += 2;
      this.#streams.set(key(from, stream), { node: target, id: accepted });
      this.#streams.set(key(target, accepted), { node: from, id: stream });
      this.give(target, { kind: 'streamAccepted', stream: accepted, from: { ...from.address, port: 50_000 } });
      this.give(from, { kind: 'streamOpened', stream });
    });
  }

  #sendStream(node: VirtualNode, id: StreamId, bytes: Uint8Array): void {
    this.streamed.push(bytes);
    this.#toOtherEnd(node, id, (stream) => ({ kind: 'streamBytes', stream, bytes }));
  }

  #toOtherEnd(node: VirtualNode, stream: StreamId, input: (id: StreamId) => SerfInput): void {
    const end = this.#streams.get(key(node, stream));
    if (end !== undefined) this.#soon(() => this.give(end.node, input(end.id)), DELAY_MS.most);
  }

  #at(address: Endpoint): VirtualNode | undefined {
    return this.nodes.find((node) => node.isUp && formatEndpoint(node.address) === formatEndpoint(address));
  }

  /** Streams pass a fixed delay, so that their bytes stay in order. */
  #soon(act: () => void, delayMs = DELAY_MS.least + this.#random.next() * (DELAY_MS.most - DELAY_MS.least)): void {
    this.#order += 1;
    const entry = { at: this.now + delayMs, order: this.#order, act };
    let i = this.#later.length;
    while (i > 0 && (this.#later[i - 1] as { at: number }).at > entry.at) i--;
    this.#later.splice(i, 0, entry);
  }
}

function key(node: VirtualNode, stream: StreamId): string {
  return `${formatEndpoint(node.address)}#${stream}`;
}
