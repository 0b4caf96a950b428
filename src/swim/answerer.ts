/** Answers other members' probes: pings, and pings on behalf of others. wire-gossip.md 9.3. */
import { assert } from '../base/assert.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { hostOfAddress } from '../wire/memberlist/address.ts';
import { encodeAck, encodeNack, encodePing } from '../wire/memberlist/messages.ts';
import type { IndirectPing, Ping, SourceFields } from '../wire/memberlist/messages.ts';
import { sameAddress } from './claim.ts';
import type { SwimContext } from './context.ts';
import type { Outbox } from './outbox.ts';
import { sourceFields } from './prober.ts';

/** Probes for others under way. Each member asks at most once per probe interval; a flood stops here. */
const RELAYS_MAX = 1_024;

interface Relay {
  /** The requester's number and address. */
  readonly sequence: number;
  readonly to: Endpoint;
  readonly wantsNack: boolean;
}

export class Answerer {
  readonly #context: SwimContext;
  readonly #outbox: Outbox;
  /** By the sequence number of our own ping to the target. */
  readonly #relays: Map<number, Relay> = new Map();
  readonly #deadlines: DeadlineHeap<number> = new DeadlineHeap();

  constructor(context: SwimContext, outbox: Outbox) {
    this.#context = context;
    this.#outbox = outbox;
  }

  onPing(ping: Ping, from: Endpoint): void {
    if (ping.node !== '' && !this.#context.isSelf(ping.node)) {
      this.#context.drop('pingForAnother', from);
      return;
    }
    this.#ack(replyAddress(ping, from), ping.sequence, this.#context.delegate.ackPayload());
  }

  onIndirectPing(request: IndirectPing, from: Endpoint): void {
    const to = replyAddress(request, from);
    const target = this.#targetOf(request);
    // Whoever asks for pings to strangers may be after the stranger: nobody is pinged whom we do not know.
    if (target === undefined || this.#relays.size >= RELAYS_MAX) {
      this.#context.drop(target === undefined ? 'indirectPingForStranger' : 'tooManyIndirectPings', from);
      if (request.nack) this.#outbox.send(to, encodeNack({ kind: 'nack', sequence: request.sequence }));
      return;
    }
    const sequence = this.#context.nextSequence();
    this.#relays.set(sequence, { sequence: request.sequence, to, wantsNack: request.nack });
    this.#deadlines.set(sequence, this.#context.now + this.#context.config.probeTimeoutMs);
    const ping = encodePing({ kind: 'ping', node: request.node, sequence, ...sourceFields(this.#context.config) });
    this.#outbox.sendWithNews(target, ping);
  }

  /** Whether the ack was for a ping sent on behalf of another. A late one is not passed on. */
  onAck(sequence: number): boolean {
    const relay = this.#relays.get(sequence);
    if (relay === undefined) return false;
    this.#forget(sequence);
    this.#ack(relay.to, relay.sequence, undefined);
    return true;
  }

  tick(): void {
    const { now } = this.#context;
    for (let due = this.#deadlines.popDue(now); due !== undefined; due = this.#deadlines.popDue(now)) {
      const relay = this.#relays.get(due);
      this.#relays.delete(due);
      if (relay?.wantsNack === true) {
        this.#outbox.sendWithNews(relay.to, encodeNack({ kind: 'nack', sequence: relay.sequence }));
      }
    }
  }

  nextDeadline(): MonotonicMs {
    return this.#deadlines.next();
  }

  postpone(byMs: number): void {
    for (const sequence of this.#relays.keys()) {
      const deadline = this.#deadlines.deadlineOf(sequence);
      if (deadline !== undefined) this.#deadlines.set(sequence, deadline + byMs);
    }
  }

  check(): void {
    assert(this.#relays.size <= RELAYS_MAX, 'probes for others keep their limit');
    assert(this.#relays.size === this.#deadlines.size, 'every probe for another has a deadline');
  }

  /** To a member with news and payload; to a stranger the least that is an answer, so that nobody is flooded through us. */
  #ack(to: Endpoint, sequence: number, payload: Uint8Array | undefined): void {
    if (this.#context.table.at(to) === undefined) {
      this.#outbox.send(to, encodeAck({ kind: 'ack', sequence, payload: undefined }));
      return;
    }
    const present = payload !== undefined && payload.length > 0 ? payload : undefined;
    this.#outbox.sendWithNews(to, encodeAck({ kind: 'ack', sequence, payload: present }));
  }

  #targetOf(request: IndirectPing): Endpoint | undefined {
    const row = this.#context.table.get(request.node);
    if (row === undefined || request.target === undefined) return undefined;
    const port = request.port === 0 ? this.#context.config.defaultPort : request.port;
    return sameAddress(row, { addressBytes: request.target, port }) ? row.endpoint : undefined;
  }

  #forget(sequence: number): void {
    this.#relays.delete(sequence);
    this.#deadlines.delete(sequence);
  }
}

/** Where the asker wants its answer: the address it names, else the one it sent from. */
function replyAddress(source: SourceFields, from: Endpoint): Endpoint {
  const host = source.sourceAddress === undefined ? undefined : hostOfAddress(source.sourceAddress);
  return host === undefined || source.sourcePort === 0 ? from : { host, port: source.sourcePort };
}
