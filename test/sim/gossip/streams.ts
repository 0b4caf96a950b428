/**
 * TCP of the gossip world: ordered, complete, late under loss. A lost connection request is repeated after 1, 3 and 7 s, a lost
 * segment after 200 ms and then twice as long each time, as Linux does it.
 */
import type { Endpoint } from '../../../src/model/endpoint.ts';
import type { StreamId } from '../../../src/model/ids.ts';
import type { SwimEffect, SwimInput } from '../../../src/swim/messages.ts';
import type { GossipNode } from './node.ts';

export interface StreamHost {
  now(): number;
  at(instant: number, act: () => void): void;
  /** One way of one packet that is not lost. */
  delay(): number;
  isLost(): boolean;
  isCut(from: GossipNode, to: GossipNode): boolean;
  nodeAt(endpoint: Endpoint): GossipNode | undefined;
  give(node: GossipNode, input: SwimInput): void;
}

type StreamEffect = Extract<SwimEffect, { readonly kind: 'openStream' | 'sendStream' | 'closeStream' }>;

interface End {
  readonly node: GossipNode;
  readonly id: StreamId;
  other: End | undefined;
  isOver: boolean;
  /** Nothing arrives here before what was sent earlier. */
  arrivesAt: number;
}

const SYN_AT_MS: readonly number[] = [0, 1_000, 3_000, 7_000];
const RETRANSMIT_MS = 200;
const RETRANSMITS_MAX = 8;

export class VirtualStreams {
  readonly #host: StreamHost;
  readonly #ends: Map<GossipNode, Map<StreamId, End>> = new Map();

  constructor(host: StreamHost) {
    this.#host = host;
  }

  perform(node: GossipNode, effect: StreamEffect): void {
    if (effect.kind === 'openStream') {
      this.#open(node, effect.stream, effect.to);
      return;
    }
    const end = this.#ends.get(node)?.get(effect.stream);
    if (end === undefined) return;
    const { other } = end;
    if (effect.kind === 'sendStream') {
      const { bytes } = effect;
      if (other !== undefined) this.#carry(end, other, { kind: 'streamBytes', stream: other.id, bytes });
      return;
    }
    this.#forget(end);
    if (other !== undefined) this.#carry(end, other, { kind: 'streamClosed', stream: other.id, error: undefined });
  }

  /** Its process ended. */
  reset(node: GossipNode): void {
    const ends = this.#ends.get(node);
    this.#ends.delete(node);
    for (const end of ends?.values() ?? []) {
      end.isOver = true;
      const { other } = end;
      if (other === undefined) continue;
      this.#soon(() => this.#tell(other, { kind: 'streamClosed', stream: other.id, error: 'reset' }));
    }
  }

  #open(node: GossipNode, id: StreamId, to: Endpoint): void {
    const end = this.#keep(node, id);
    for (const afterMs of SYN_AT_MS) {
      // Both the request and its answer must come through.
      if (this.#host.isLost() || this.#host.isLost()) continue;
      this.#soon(() => this.#onSyn(end, to), afterMs);
      return;
    }
  }

  #onSyn(end: End, to: Endpoint): void {
    if (end.isOver) return;
    const target = this.#host.nodeAt(to);
    if (target !== undefined && this.#host.isCut(end.node, target)) return;
    if (target === undefined) {
      this.#soon(() => this.#tell(end, { kind: 'streamClosed', stream: end.id, error: 'refused' }));
      return;
    }
    const accepted = this.#keep(target, target.nextAccepted());
    accepted.other = end;
    end.other = accepted;
    // The port of the caller's end is of no interest to anybody.
    const from = { host: end.node.endpoint.host, port: 50_000 };
    this.#host.give(target, { kind: 'streamAccepted', stream: accepted.id, from });
    this.#carry(accepted, end, { kind: 'streamOpened', stream: end.id });
  }

  #carry(from: End, to: End, input: SwimInput): void {
    let delayMs = this.#host.delay();
    for (let tries = 0; tries < RETRANSMITS_MAX && this.#host.isLost(); tries++) delayMs += RETRANSMIT_MS << tries;
    to.arrivesAt = Math.max(to.arrivesAt, this.#host.now() + delayMs);
    this.#host.at(to.arrivesAt, () => {
      if (!this.#host.isCut(from.node, to.node)) this.#tell(to, input);
    });
  }

  #soon(act: () => void, afterMs = 0): void {
    this.#host.at(this.#host.now() + afterMs + this.#host.delay(), act);
  }

  #tell(end: End, input: SwimInput): void {
    if (end.isOver) return;
    if (input.kind === 'streamClosed') this.#forget(end);
    this.#host.give(end.node, input);
  }

  #keep(node: GossipNode, id: StreamId): End {
    const end: End = { node, id, other: undefined, isOver: false, arrivesAt: 0 };
    const ends = this.#ends.get(node) ?? new Map<StreamId, End>();
    ends.set(id, end);
    this.#ends.set(node, ends);
    return end;
  }

  #forget(end: End): void {
    end.isOver = true;
    this.#ends.get(end.node)?.delete(end.id);
  }
}
